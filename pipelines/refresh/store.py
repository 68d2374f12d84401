"""Where a line of champions is kept: one folder with a fixed name for everything in it."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.flow.objects import ObjectStore
from pipelines.flow.pointers import BUCKET_SCHEME, BucketPointer, FilePointer, Pointer
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.model_pointer import read_pointer, write_pointer
from pipelines.refresh.commits import CommitLog, ModelEntry

_TOLD = "told"


@dataclass(frozen=True, slots=True)
class RefreshStore:
    """The places of a store; `pointers` is where head and lease lie: the folder itself, or `s3://BUCKET/PREFIX`."""

    folder: Path
    pointers: str | None = None

    @property
    def commits(self) -> CommitLog:
        """The commits and their head."""
        return CommitLog(self.folder / "commits", self._pointer("head"))

    @property
    def lease(self) -> Pointer:
        """Who is at work."""
        return self._pointer("lease")

    @property
    def nights(self) -> Path:
        """A folder a night."""
        return self.folder / "nights"

    def night(self, date: str) -> Path:
        """The attempts of one night, and its journal."""
        return self.nights / date

    @property
    def sampled_model(self) -> Path:
        """The file that names the model which a night's own sampling replicas run."""
        return (self.folder / "serving" / "model").resolve()

    def committed_nights(self) -> frozenset[str]:
        """The dates of all nights of the head's history."""
        return frozenset(commit.night.date for commit in self.commits.history() if commit.night is not None)

    def unfinished_nights(self) -> tuple[str, ...]:
        """The dates of nights that have attempts and no commit, the oldest first."""
        begun = {attempt.parent.name for attempt in self.nights.glob("*/attempt-*")}
        return tuple(sorted(begun - self.committed_nights()))

    def mark_told(self, date: str) -> None:
        """Note that a committed night's metrics and runs were told."""
        (self.night(date) / _TOLD).touch()

    def is_told(self, date: str) -> bool:
        """Whether `mark_told` was called."""
        return (self.night(date) / _TOLD).is_file()

    def untold_nights(self) -> tuple[str, ...]:
        """The dates of nights that were committed by one who was stopped before telling of them, the oldest first."""
        return tuple(sorted(date for date in self.committed_nights() if not self.is_told(date)))

    @property
    def pairs(self) -> SnapshotStore:
        """Snapshots of the pool; the head's commit says which counts."""
        return SnapshotStore(self.folder / "pairs")

    @property
    def objects(self) -> ObjectStore:
        """Tokens of the pairs' songs."""
        return ObjectStore(self.folder / "objects")

    @property
    def sounds(self) -> Path:
        """The sound of candidates."""
        return self.folder / "sounds"

    @property
    def prompts(self) -> Path:
        """The prompts of all sets."""
        return self.folder / "prompts"

    @property
    def models(self) -> Path:
        """Candidates, a folder a digest."""
        return self.folder / "models"

    @property
    def reference(self) -> Path:
        """Encoded conditions and log-probabilities of the pairs' songs, which trainings share."""
        return self.folder / "reference"

    @property
    def champion(self) -> Path:
        """A file with the path of the champion's folder, which services follow."""
        return self.folder / "champion"

    @property
    def metrics(self) -> Path:
        """The last values of what is measured, for Prometheus."""
        return self.folder / "metrics"

    def model(self, entry: ModelEntry) -> Path:
        """The folder of a model."""
        return (self.folder / entry.folder).resolve()

    def entry_of_folder(self, digest: str) -> str:
        """The folder, within the store, of a model that a night makes."""
        return (self.models / digest).relative_to(self.folder).as_posix()

    def show_head(self) -> None:
        """Let services follow the newest commit's champion; nothing where the line was not begun.

        A commit and this are two moves. One who is stopped between them, and goes on after others have committed, shows
        what the head says by then; one who was killed there leaves it to whoever works on the line next.
        """
        commits = self.commits
        head = commits.head()
        while head is not None:
            folder = self.model(head.champion)
            if not self.champion.is_file() or read_pointer(self.champion) != folder:
                write_pointer(self.champion, folder)
            shown, head = head, commits.head()
            if head == shown:
                return

    def _pointer(self, name: str) -> Pointer:
        if self.pointers is None:
            return FilePointer(self.folder / name)
        if not self.pointers.startswith(BUCKET_SCHEME):
            raise ValueError(f"pointers is {self.pointers!r}; expected {BUCKET_SCHEME}BUCKET/PREFIX, or nothing")
        return BucketPointer(f"{self.pointers.rstrip('/')}/{name}")
