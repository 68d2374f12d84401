"""The line of champions as commits: each names what it follows, so that a model is traced to its pairs and songs.

All that a night changes becomes so in one step: the head moves to a new commit. The head carries the fencing token of
whoever took the lease last; taking it moves the head too, so that one who overslept finds it moved and commits nothing
(M. Kleppmann: Designing Data-Intensive Applications, chapter 8, "Fencing tokens").
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from levo.song.digest import digest_json
from levo.song.files import write_json
from pipelines.flow.pointers import MovedPointerError, Pointed, Pointer
from pipelines.flow.typed_json import read_record
from pipelines.refresh.lease import LostLeaseError

BEGIN, NIGHT, ROLLBACK = "begin", "night", "rollback"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A song model: the digest of its weights, its folder (within the store where it is relative), what made it.

    `night` and `parts` say from which night's training it was merged: digest and coefficient of each part.
    """

    digest: str
    folder: str
    night: str | None = None
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class GateRecord:
    """A look of the gate: at which fold, how many looks it had before, and what was said."""

    candidate: ModelEntry
    fold: int
    num_looks_before: int
    is_promoted: bool
    coverage: float
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]
    gains: dict[str, tuple[float, float, float]]
    """By metric: gain, and the ends of its 95 % interval; positive is better."""
    surely: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By metric what promotes: the interval's lower end at the look's own coverage, and the randomisation test's p."""


@dataclass(frozen=True, slots=True)
class NightRecord:
    """What a night did: songs and pairs by axis, the decision with its reasons, the gate, and where its tables lie."""

    date: str
    num_prompts: int
    num_candidates: int
    num_refused: int
    num_copies: int
    new_pairs: dict[str, int]
    aged_pairs: int
    policy_drift: float
    means: dict[str, float]
    """Of the candidates' scores, by metric."""
    agreement: dict[str, float]
    trained_axes: tuple[str, ...]
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]
    attempts: tuple[str, ...]
    """The folders of the attempts whose steps it is made of, the one that finished it last."""
    songs: str
    """The folder of its candidates and their scores."""
    gate: GateRecord | None = None
    report: dict[str, float] = field(default_factory=dict)
    """A new champion's means on the report prompts; no decision reads them."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A state of the line: the champion and the one before it, the pairs, and what brought it about."""

    kind: str
    parent: str | None
    champion: ModelEntry
    previous: ModelEntry | None
    pairs: str | None
    """The id of the snapshot of pairs; None before the first night."""
    number: int = 0
    night: NightRecord | None = None
    note: str = ""

    @property
    def commit_id(self) -> str:
        """The digest of its content: equal content is one commit."""
        return digest_json(asdict(self))


@dataclass(frozen=True, slots=True)
class Head:
    """What the head pointer says: the newest commit, and the token of the last who took the lease."""

    token: int
    commit: str | None


class CommitLog:
    """Commits in a folder, and the head that names the newest."""

    def __init__(self, folder: Path, pointer: Pointer) -> None:
        self._folder, self._pointer = folder, pointer
        self._seen: Pointed | None = None

    def head(self) -> Commit | None:
        """The newest commit; None where the line was not begun."""
        now = self._pointer.read()
        commit_id = None if now is None else _head(now).commit
        return None if commit_id is None else self.read(commit_id)

    def read(self, commit_id: str) -> Commit:
        """A commit by its id."""
        file = self._folder / f"{commit_id}.json"
        if not file.is_file():
            raise FileNotFoundError(f"no commit {commit_id} in {self._folder}; the store is incomplete")
        commit: Commit = read_record(Commit, json.loads(file.read_text()))
        if commit.commit_id != commit_id:
            raise ValueError(f"{file} is damaged: its content has the digest {commit.commit_id[:16]}")
        return commit

    def on_file(self) -> Iterator[Commit]:
        """Every commit in the folder, whether or not the head comes to it."""
        return (self.read(file.stem) for file in sorted(self._folder.glob("*.json")))

    def history(self) -> Iterator[Commit]:
        """The commits from the newest back."""
        commit = self.head()
        while commit is not None:
            yield commit
            commit = None if commit.parent is None else self.read(commit.parent)

    def fence(self, token: int) -> None:
        """Make the token the head's, so that no holder of an earlier one can commit; raises LostLeaseError for one."""
        now = self._pointer.read()
        if now is not None and _head(now).token > token:
            raise LostLeaseError(f"token {token} is behind the head's, {_head(now).token}: somebody else is at work")
        head = Head(token, None if now is None else _head(now).commit)
        self._seen = self._moved(now, head)

    def commit(self, commit: Commit) -> Commit:
        """Move the head to a commit that follows it; raises LostLeaseError where somebody moved it since `fence`."""
        if self._seen is None:
            raise LostLeaseError("the head was not fenced; take the lease before a commit")
        head = _head(self._seen)
        numbered = replace(commit, parent=head.commit, number=self._number(head) + 1)
        file = self._folder / f"{numbered.commit_id}.json"
        write_json(file, asdict(numbered))
        self._seen = self._moved(self._seen, Head(head.token, numbered.commit_id))
        return numbered

    def _number(self, head: Head) -> int:
        return 0 if head.commit is None else self.read(head.commit).number

    def _moved(self, seen: Pointed | None, head: Head) -> Pointed:
        text = json.dumps(asdict(head))
        try:
            return self._pointer.move(seen, text)
        except MovedPointerError as error:
            now = self._pointer.read()
            # Where the answer to our own move was lost, and it was tried again, the head is what we made it.
            if now is not None and now.text == text:
                return now
            raise LostLeaseError(f"nothing was committed: {error}") from None


def _head(pointed: Pointed) -> Head:
    return read_record(Head, json.loads(pointed.text))
