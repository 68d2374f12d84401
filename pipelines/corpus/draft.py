"""A corpus in the making: outcomes wait on disk, part by part, for the tiers that only all scores together give."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from levo.song.description import MusicalityTier
from levo.song.files import writing
from levo.song.scores import Score
from pipelines.corpus.records import JudgedSong, PreparedSong, extended
from pipelines.corpus.tally import Tally
from pipelines.corpus.tiers import musicality_tiers
from pipelines.flow.outcomes import outcome_table, outcomes_of
from pipelines.flow.run import PART_SIZE
from pipelines.flow.snapshot import Snapshot, SnapshotStore
from pipelines.flow.stage import Refusal

SONGS = "songs"


@dataclass(frozen=True, slots=True)
class PublishedCorpus:
    """A snapshot and the counts of what is in it."""

    snapshot: Snapshot
    tally: Tally


class CorpusDraft:
    """A folder of outcomes; entered it is empty, left it is gone. Memory holds one part, and all songs' scores."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[Path] = []
        self._scores: list[Score] = []

    def __enter__(self) -> "CorpusDraft":
        self._remove()
        with writing(self._folder):
            self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def add(self, outcomes: Sequence[JudgedSong | Refusal]) -> None:
        """Add the outcomes of the next recordings."""
        part = self._folder / f"{len(self._parts):06d}.parquet"
        with writing(part):
            pq.write_table(outcome_table(outcomes, JudgedSong), part)
        self._parts.append(part)
        self._scores += [outcome.musicality for outcome in outcomes if isinstance(outcome, JudgedSong)]

    def publish(
        self, store: SnapshotStore, refusals: Sequence[Refusal], versions: Mapping[str, str]
    ) -> PublishedCorpus:
        """Publish all outcomes, one file a part, and the recordings that were refused before any stage."""
        tally = Tally()
        snapshot = store.publish({SONGS: self._tables(refusals, tally)}, versions)
        return PublishedCorpus(snapshot, tally)

    def _tables(self, refusals: Sequence[Refusal], tally: Tally) -> Iterator[pa.Table]:
        tiers = iter(musicality_tiers(self._scores))
        for part in self._parts:
            outcomes = [_with_tier(outcome, tiers) for outcome in outcomes_of(pq.read_table(part), JudgedSong)]
            tally.add(outcomes)
            yield outcome_table(outcomes, PreparedSong)
        for start in range(0, len(refusals), PART_SIZE):
            part_of = refusals[start : start + PART_SIZE]
            tally.add(part_of)
            yield outcome_table(part_of, PreparedSong)

    def _remove(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)


def _with_tier(outcome: JudgedSong | Refusal, tiers: Iterator[MusicalityTier | None]) -> PreparedSong | Refusal:
    return outcome if isinstance(outcome, Refusal) else extended(outcome, PreparedSong, tier=next(tiers))
