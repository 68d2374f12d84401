"""A prepared corpus as its readers see it: songs and refusals of the current snapshot, their stems and their tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from jaxtyping import UInt32

from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.tokens import TokenGrid
from pipelines.corpus.audio import AudioReader
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.draft import SONGS
from pipelines.corpus.flow import OBJECTS_FOLDER, corpus_recordings
from pipelines.corpus.records import PreparedSong, TokenizedSong
from pipelines.corpus.roots.named import Recordings
from pipelines.corpus.tally import Tally
from pipelines.flow.objects import ObjectStore
from pipelines.flow.outcomes import outcomes_of, records_of_outcomes, refusals_of_outcomes
from pipelines.flow.snapshot import Snapshot, SnapshotError, SnapshotStore
from pipelines.flow.stage import Refusal


@dataclass(frozen=True)
class Corpus:
    """One snapshot of a corpus; the recordings themselves lie where they were."""

    folder: Path
    recordings: Recordings
    snapshot: Snapshot

    @cached_property
    def songs(self) -> tuple[PreparedSong, ...]:
        """Every usable song, in the order of the recordings."""
        return tuple(records_of_outcomes(self.snapshot.table(SONGS), PreparedSong))

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """Every recording that cannot be used."""
        return tuple(refusals_of_outcomes(self.snapshot.table(SONGS)))

    def outcomes(self) -> Iterator[PreparedSong | Refusal]:
        """Every recording's outcome in turn, with one file of the snapshot in memory at a time."""
        for part in self.snapshot.parts(SONGS):
            yield from outcomes_of(part, PreparedSong)

    def first_songs(self, number: int) -> list[PreparedSong]:
        """The first usable songs, so many as there are."""
        usable = (outcome for outcome in self.outcomes() if isinstance(outcome, PreparedSong))
        return list(islice(usable, number))

    def tally(self) -> Tally:
        """Songs and refusals, counted."""
        tally = Tally()
        tally.add(self.outcomes())
        return tally

    def tokens(self, song: TokenizedSong) -> TokenGrid:
        """A song's token grid."""
        return TokenGrid(ObjectStore(self.folder / OBJECTS_FOLDER).get_array(song.tokens))

    def fingerprints(self) -> dict[str, UInt32[Array, " word"]]:
        """Every song's fingerprint, by its id."""
        store = ObjectStore(self.folder / OBJECTS_FOLDER)
        return {song.song_id: store.get_array(song.fingerprint) for song in self.songs if song.fingerprint is not None}

    def stems(self, song: TokenizedSong) -> Stems:
        """A song's stems, true or separated."""
        return self._reader.stems(song)

    @cached_property
    def _reader(self) -> AudioReader:
        return AudioReader(self.recordings.root, self.folder / OBJECTS_FOLDER, AudioLimits(), kept_bytes=0)


def open_corpus(folder: Path) -> Corpus:
    """The newest snapshot of a corpus; raises SnapshotError where there is none."""
    snapshot = SnapshotStore(folder).current()
    if snapshot is None:
        raise SnapshotError(f"{folder} holds no corpus; `levo prepare --corpus {folder}` makes one")
    return Corpus(folder, corpus_recordings(folder), snapshot)
