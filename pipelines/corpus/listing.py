"""What lies among recordings: the songs with their digests and metadata, and what cannot be one."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from posixpath import dirname, join, normpath

from pipelines.corpus.archives import ArchiveLimits, is_archive, is_audio
from pipelines.corpus.files import RecordingFiles
from pipelines.corpus.metadata import METADATA_FILE, MetadataError, MetadataReader, SongMetadata
from pipelines.corpus.records import SourceSong, StemReferences
from pipelines.corpus.roots.named import Recordings
from pipelines.corpus.roots.protocol import PathError
from pipelines.flow.objects import ObjectStore
from pipelines.flow.stage import Refusal
from pipelines.flow.stored import write_records

STAGE = "listing"
_SONGS_FILE = "songs.parquet"
_NUM_READERS = 8
_ROWS_AT_ONCE = 1024
_ROWS_A_READER = 16


@dataclass(frozen=True, slots=True)
class Listing:
    """Songs (in a file) and refusals, each in the order of metadata or of paths."""

    songs: Sequence[SourceSong]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """What is said of a song, and the folder or archive that its paths are relative to."""

    song: SongMetadata
    folder: str = ""


def list_songs(
    recordings: Recordings, folder: Path, store: ObjectStore, limits: ArchiveLimits | None = None
) -> Listing:
    """List recordings: the songs that a manifest names, or else everything below the root.

    A folder or archive with a `metadata.jsonl` gives the songs that it names; elsewhere every audio file is one,
    named by its path. Archives count as folders; their sound becomes objects of `store`. Digests are computed again
    only for files whose size or time of change are others than those kept in `folder`, where the songs found are kept
    too. Symbolic links are not followed. Raises FileNotFoundError or NotADirectoryError where there are no such
    recordings.
    """
    files = RecordingFiles(recordings.root, folder, store, limits or ArchiveLimits())
    refusals: list[Refusal] = []
    rows = _manifest_rows(recordings, files) if recordings.manifest is not None else _found_rows(files)

    def found_songs() -> Iterator[list[SourceSong]]:
        with ThreadPoolExecutor(_NUM_READERS) as readers:
            while batch := list(islice(rows, _ROWS_AT_ONCE)):
                chunks = (batch[start : start + _ROWS_A_READER] for start in range(0, len(batch), _ROWS_A_READER))
                read = readers.map(lambda rows: [_outcome(row, files) for row in rows], chunks)
                outcomes = [outcome for chunk in read for outcome in chunk]
                refusals.extend(outcome for outcome in outcomes if isinstance(outcome, Refusal))
                yield [outcome for outcome in outcomes if not isinstance(outcome, Refusal)]

    songs = write_records(folder / _SONGS_FILE, SourceSong, found_songs())
    files.save()
    return Listing(songs, tuple(refusals))


def _manifest_rows(recordings: Recordings, files: RecordingFiles) -> Iterator[_Row | Refusal]:
    name = str(recordings.manifest)
    try:
        files.root.state(name)
    except PathError as error:
        raise FileNotFoundError(f"{recordings}: {error}") from None
    reader = MetadataReader()
    with files.root.open(name) as file:
        is_table = name.endswith(".parquet")
        try:
            yield from _rows_of(reader.table(file, name) if is_table else reader.lines(file, name))
        except MetadataError as error:
            yield _refusal(name, error)


def _found_rows(files: RecordingFiles) -> Iterator[_Row | Refusal]:
    """Every song below the root, folder by folder; the outermost metadata on the way to a file decide on it."""
    names = list(files.root.files())
    described = {dirname(name) for name in names if name.rpartition("/")[2] == METADATA_FILE}
    reader, done = MetadataReader(), set[str]()
    for name in names:
        folder = _outermost(name, described)
        if folder is None:
            yield from _archive_rows(name, files, reader) if is_archive(name) else _file_row(name)
        elif folder not in done:
            done.add(folder)
            where = join(folder, METADATA_FILE)
            try:
                with files.root.open(where) as file:
                    yield from _rows_of(reader.lines(file, where), folder)
            except PathError as error:
                yield _refusal(where, error)


def _archive_rows(archive: str, files: RecordingFiles, reader: MetadataReader) -> Iterator[_Row | Refusal]:
    try:
        members = files.members(archive)
    except PathError as error:
        yield _refusal(archive, error)
        return
    described = {dirname(path) for path, member in members.items() if member.text is not None}
    for path, member in members.items():
        name, folder = join(archive, path), _outermost(path, described)
        if folder is None and member.audio is None:
            yield _refusal(name, PathError(str(member.reason), str(member.detail)))
        elif folder is None:
            yield from _file_row(name)
        elif member.text is not None and dirname(path) == folder:
            yield from _rows_of(reader.lines(member.text.splitlines(), name), join(archive, folder))


def _file_row(name: str) -> Iterator[_Row]:
    if is_audio(name):
        yield _Row(SongMetadata(song_id=name, audio=name))


def _rows_of(rows: Iterable[SongMetadata | MetadataError], folder: str = "") -> Iterator[_Row | Refusal]:
    for row in rows:
        yield _refusal(row.item_id, row) if isinstance(row, MetadataError) else _Row(row, folder)


def _outermost(name: str, described: set[str]) -> str | None:
    parts = dirname(name).split("/") if dirname(name) else []
    above = ("/".join(parts[:depth]) for depth in range(len(parts) + 1))
    return next((folder for folder in above if folder in described), None)


def _outcome(row: _Row | Refusal, files: RecordingFiles) -> SourceSong | Refusal:
    if isinstance(row, Refusal):
        return row
    try:
        return _source_song(row, files)
    except PathError as error:
        return _refusal(row.song.song_id, error)


def _source_song(row: _Row, files: RecordingFiles) -> SourceSong:
    def place(path: str) -> str:
        return normpath(join(row.folder, path)) if row.folder else path

    song, stems = row.song, None
    if song.vocal is not None and song.accompaniment is not None:
        stems = StemReferences(files.reference(place(song.vocal)), files.reference(place(song.accompaniment)))
    return SourceSong(
        song_id=song.song_id,
        audio=files.reference(place(song.audio)),
        true_stems=stems,
        collection=song.collection,
        singer=song.singer,
        licence=song.licence,
        source=song.source,
        consent=song.consent,
        given_lyrics=song.lyrics,
        given_tags=song.tags,
    )


def _refusal(item_id: str, error: MetadataError | PathError) -> Refusal:
    # A file's name need not be text.
    return Refusal(item_id.encode(errors="backslashreplace").decode(), STAGE, error.reason, error.detail)
