"""What lies among recordings: the songs with their digests and metadata, and what cannot be one."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from posixpath import dirname, join, normpath

from levo.song.digest import digest_file, digest_json
from pipelines.corpus.archives import ArchiveLimits, is_archive, is_audio
from pipelines.corpus.files import RecordingFiles, UnknownFileError
from pipelines.corpus.metadata import METADATA_FILE, MetadataError, MetadataReader, SongMetadata
from pipelines.corpus.records import AudioReference, SourceSong, StemReferences
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.corpus.roots.named import Recordings
from pipelines.corpus.roots.protocol import PathError
from pipelines.flow.objects import ObjectStore
from pipelines.flow.stage import Refusal
from pipelines.flow.stored import write_records

STAGE = "listing"
_SONGS_FILE = "songs.parquet"
_NUM_READERS = 8
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """Songs (in a file) and refusals, each in the order of metadata or of paths."""

    songs: Sequence[SourceSong]
    refusals: tuple[Refusal, ...]
    digest: str = ""
    """Equal for equal songs and refusals."""


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
                outcomes = _outcomes(batch, files, readers)
                refusals.extend(outcome for outcome in outcomes if isinstance(outcome, Refusal))
                yield [outcome for outcome in outcomes if not isinstance(outcome, Refusal)]

    songs = write_records(folder / _SONGS_FILE, SourceSong, found_songs())
    files.save()
    found = {"songs": digest_file(folder / _SONGS_FILE), "refusals": [asdict(refusal) for refusal in refusals]}
    return Listing(songs, tuple(refusals), digest_json(found))


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


def _outcomes(rows: Sequence[_Row | Refusal], files: RecordingFiles, readers: Executor) -> list[SourceSong | Refusal]:
    """Rows in order; files of this machine that are known are looked at here, which threads would only slow down."""
    outcomes = [_known(row, files) if isinstance(files.root, FolderRoot) else None for row in rows]
    open_rows = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
    read = readers.map(lambda row: _outcome(row, files), open_rows)
    return [next(read) if outcome is None else outcome for outcome in outcomes]


def _known(row: _Row | Refusal, files: RecordingFiles) -> SourceSong | Refusal | None:
    try:
        return _outcome(row, files, only_known=True)
    except UnknownFileError:
        return None


def _outcome(row: _Row | Refusal, files: RecordingFiles, *, only_known: bool = False) -> SourceSong | Refusal:
    if isinstance(row, Refusal):
        return row
    try:
        return _source_song(row, files, only_known=only_known)
    except PathError as error:
        return _refusal(row.song.song_id, error)


def _source_song(row: _Row, files: RecordingFiles, *, only_known: bool) -> SourceSong:
    def reference(path: str) -> AudioReference:
        place = normpath(join(row.folder, path)) if row.folder else path
        return files.reference(place, only_known=only_known)

    song, stems = row.song, None
    if song.vocal is not None and song.accompaniment is not None:
        stems = StemReferences(reference(song.vocal), reference(song.accompaniment))
    return SourceSong(
        song_id=song.song_id,
        audio=reference(song.audio),
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
