"""What a store no longer needs: attempts without a commit, refused candidates, old models' measures, old sound."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.refresh.commits import Commit, CommitLog, ModelEntry
from pipelines.refresh.pool import read_pool
from pipelines.refresh.store import RefreshStore

_DAY_S = 86_400.0
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, by its path in the store."""

    paths: tuple[str, ...]


def collect(
    store: RefreshStore,
    commits: CommitLog,
    grace_days: float,
    check: Callable[[], None],
    clock: Clock = time.time,
) -> Collected:
    """Remove what no commit names once it was left alone for the grace time; to be called by who holds the lease.

    Kept are: all that committed nights name, champions of every commit, the objects of all pairs of the head's
    snapshot, and the measures of the champion and the one before it. The sound of songs goes too: their tokens are what
    pairs are made of, and decode to it again. As long as an attempt at a night that was not committed is kept, so is
    all that it may go on with: objects, candidates and measures. `check` is called before each removal, and raises
    LostLeaseError where somebody else may by now be using what would go.
    """
    history = list(commits.history())
    if not history:
        return Collected(())
    before_s = clock() - grace_days * _DAY_S
    removed = []

    def remove(paths: Iterable[Path]) -> None:
        for path in paths:
            if _last_touched_s(path) < before_s:
                check()
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path.relative_to(store.folder).as_posix())

    remove(_attempts_unnamed(store, history))
    if not store.unfinished_nights():
        remove(_others_unnamed(store, history))
    return Collected(tuple(removed))


def _attempts_unnamed(store: RefreshStore, history: Sequence[Commit]) -> list[Path]:
    nights = [commit.night for commit in history if commit.night is not None]
    kept = {store.folder / place for night in nights for place in night.attempts}
    return [one for one in sorted(store.nights.glob("*/attempt-*")) if one not in kept]


def _others_unnamed(store: RefreshStore, history: Sequence[Commit]) -> Iterator[Path]:
    champions = {store.model(entry) for commit in history for entry in _entries(commit.champion, commit.previous)}
    yield from (one for one in sorted(store.models.glob("*")) if one.resolve() not in champions)
    measured = {entry.digest for entry in _entries(history[0].champion, history[0].previous)}
    yield from (one for one in sorted(store.reference.glob("reference-*/*")) if one.name not in measured)
    yield from _unused_objects(store, history[0].pairs)
    yield from (one for one in sorted(store.sounds.glob("objects/*/*")) if one.is_file())


def _unused_objects(store: RefreshStore, snapshot_id: str | None) -> Iterator[Path]:
    rows = [] if snapshot_id is None else read_pool(store.pairs.open(snapshot_id))
    used = {store.objects.path(reference) for row in rows for reference in row.tokens}
    yield from (one for one in sorted(store.objects.folder.glob("*/*")) if one.is_file() and one not in used)


def _entries(*entries: ModelEntry | None) -> list[ModelEntry]:
    return [entry for entry in entries if entry is not None]


def _last_touched_s(path: Path) -> float:
    """When anything in it was last written."""
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(one.stat().st_mtime for one in inside)
