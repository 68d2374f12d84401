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
from levo.song.schema import schema_of
from levo.song.scores import Score
from pipelines.corpus.records import JudgedSong, PreparedSong
from pipelines.corpus.tally import Tally
from pipelines.corpus.tiers import musicality_tiers
from pipelines.flow.outcomes import is_usable, outcome_table
from pipelines.flow.run import PART_SIZE
from pipelines.flow.snapshot import Snapshot, SnapshotStore
from pipelines.flow.stage import Refusal

SONGS = "songs"
_TIER = "tier"


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
        self._tally = Tally()

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
        self._tally.add(outcomes)

    def publish(
        self, store: SnapshotStore, refusals: Sequence[Refusal], versions: Mapping[str, str]
    ) -> PublishedCorpus:
        """Publish all outcomes, one file a part, and the recordings that were refused before any stage."""
        tiers = musicality_tiers(self._scores)
        self._tally.add(refusals)
        self._tally.tiers.update(tiers)
        snapshot = store.publish({SONGS: self._tables(refusals, tiers)}, versions)
        return PublishedCorpus(snapshot, self._tally)

    def _tables(self, refusals: Sequence[Refusal], tiers: Sequence[MusicalityTier | None]) -> Iterator[pa.Table]:
        rest = iter(tiers)
        for part in self._parts:
            table = pq.read_table(part)
            yield _with_tiers(table, [next(rest) if is_ok else None for is_ok in is_usable(table)])
        for start in range(0, len(refusals), PART_SIZE):
            yield outcome_table(refusals[start : start + PART_SIZE], PreparedSong)

    def _remove(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)


def _with_tiers(table: pa.Table, tiers: Sequence[MusicalityTier | None]) -> pa.Table:
    """A table of judged songs as one of prepared ones: a column more."""
    column = schema_of(PreparedSong).field(_TIER)
    values = [None if tier is None else tier.value for tier in tiers]
    return table.append_column(pa.field(_TIER, column.type), pa.array(values, column.type))
