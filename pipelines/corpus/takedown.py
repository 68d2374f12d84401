"""What one song touched: files of its corpus, and what runs made with it, so that all of it can be taken down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.corpus.draft import SONGS
from pipelines.corpus.flow import OBJECTS_FOLDER, corpus_memory
from pipelines.corpus.records import AudioPlace, PreparedSong, object_digests
from pipelines.flow.outcomes import records_of_outcomes
from pipelines.flow.snapshot import Snapshot, SnapshotStore

SONG_ID = "song_id"


@dataclass(frozen=True, slots=True)
class Touched:
    """One thing that holds a song, or rests on it; `is_shared` where others rest on it too."""

    kind: str
    place: str
    is_shared: bool = False


class UnknownSongError(ValueError):
    """A song that no snapshot of the corpus knows."""


def touched_in_corpus(corpus: Path, song_id: str) -> list[Touched]:
    """Every shard of every snapshot and of the memory with the song in it, its objects and its recording.

    Raises UnknownSongError where no snapshot holds it.
    """
    store = SnapshotStore(corpus)
    songs: list[PreparedSong] = []
    found: list[Touched] = []
    for snapshot in map(store.open, store.ids()):
        rows = records_of_outcomes(snapshot.table(SONGS), PreparedSong)
        mine = [row for row in rows if row.song_id == song_id]
        if mine:
            songs += mine
            found += _shards(snapshot, song_id)
            others = {place for row in rows if row.song_id != song_id for place in object_digests(row)}
            found += [
                Touched("object", str(corpus / OBJECTS_FOLDER / place), is_shared=place in others)
                for place in object_digests(mine[0])
            ]
    if not songs:
        raise UnknownSongError(f"{song_id!r} is in no snapshot of {corpus}; `levo corpus status` shows what it holds")
    found += _memory_shards(corpus, song_id)
    audio = songs[-1].audio
    if audio.place is AudioPlace.SOURCE:
        found.append(Touched("recording", audio.path))
    return list(dict.fromkeys(found))


def _shards(snapshot: Snapshot, song_id: str) -> Iterator[Touched]:
    for path in (snapshot.folder / file.name for file in snapshot.manifest.files if file.table == SONGS):
        if song_id in pq.read_table(path, columns=[SONG_ID]).column(SONG_ID).to_pylist():
            yield Touched("snapshot shard", str(path), is_shared=True)


def _memory_shards(corpus: Path, song_id: str) -> Iterator[Touched]:
    for shard in sorted(corpus_memory(corpus).folder.glob("*/*.parquet")):
        records = pq.read_table(shard, columns=["record"]).column("record").to_pylist()
        if any(record is not None and record.get(SONG_ID) == song_id for record in records):
            yield Touched("memory shard", str(shard), is_shared=len(records) > 1)
