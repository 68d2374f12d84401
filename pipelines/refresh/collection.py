"""What a store no longer needs: attempts without a commit, candidates that were refused, measures of old models."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.refresh.commits import CommitLog, ModelEntry
from pipelines.refresh.pool import read_pool
from pipelines.refresh.store import RefreshStore

_DAY_S = 86_400.0
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, by its path in the store."""

    paths: tuple[str, ...]


def collect(store: RefreshStore, commits: CommitLog, grace_days: float, clock: Clock = time.time) -> Collected:
    """Remove what no commit names once it was left alone for the grace time; to be called by who holds the lease.

    Kept are: all that committed nights name, champions of every commit, the objects of all pairs of the head's
    snapshot, and the measures of the champion and the one before it.
    """
    before_s = clock() - grace_days * _DAY_S
    old = [path for path in _unnamed(store, commits) if _last_touched_s(path) < before_s]
    for path in old:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Collected(tuple(path.relative_to(store.folder).as_posix() for path in old))


def _unnamed(store: RefreshStore, commits: CommitLog) -> Iterator[Path]:
    history = list(commits.history())
    if not history:
        return
    nights = [commit.night for commit in history if commit.night is not None]
    kept_attempts = {store.folder / place for night in nights for place in (night.attempt, Path(night.songs).parent)}
    yield from (one for one in sorted(store.nights.glob("*/attempt-*")) if one not in kept_attempts)
    champions = {store.model(entry) for commit in history for entry in _entries(commit.champion, commit.previous)}
    yield from (one for one in sorted(store.models.glob("*")) if one.resolve() not in champions)
    measured = {entry.digest for entry in _entries(history[0].champion, history[0].previous)}
    yield from (one for one in sorted(store.reference.glob("reference-*/*")) if one.name not in measured)
    yield from _unused_objects(store, history[0].pairs)


def _unused_objects(store: RefreshStore, snapshot_id: str | None) -> Iterator[Path]:
    rows = [] if snapshot_id is None else read_pool(store.pairs.open(snapshot_id))
    used = {store.objects.path(reference) for row in rows for reference in (row.audio_prompt, row.chosen, row.rejected)}
    yield from (one for one in sorted(store.objects.folder.glob("*/*")) if one.is_file() and one not in used)


def _entries(*entries: ModelEntry | None) -> list[ModelEntry]:
    return [entry for entry in entries if entry is not None]


def _last_touched_s(path: Path) -> float:
    """When anything in it was last written."""
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(one.stat().st_mtime for one in inside)
