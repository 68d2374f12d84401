"""What lies in a folder of recordings: its songs with their digests and metadata, and what cannot be one."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from levo.song.digest import digest_file
from levo.song.files import write_atomically
from levo.song.schema import records_of, table_of
from pipelines.corpus.metadata import METADATA_FILE, MetadataError, SongMetadata, read_metadata
from pipelines.corpus.records import AudioPlace, AudioReference, SourceSong, StemReferences
from pipelines.flow.stage import Refusal

AUDIO_SUFFIXES = frozenset({".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".w64"})
STAGE = "listing"


class PathError(ValueError):
    """A path that may not or cannot be read, with a countable reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Listing:
    """Songs and refusals, each in the order of metadata or of paths."""

    songs: tuple[SourceSong, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file's digest as it was when it had this size and time of change."""

    path: str
    num_bytes: int
    changed_ns: int
    sha256: str


def list_songs(folder: Path, stamps_file: Path) -> Listing:
    """List a folder: the songs that its `metadata.jsonl` names, or else every audio file in it and below.

    A file's digest is taken from `stamps_file` where its size and time of change are as they were, and kept there.
    Symbolic links are not followed. Raises NotADirectoryError where there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; expected one that holds recordings")
    digests = _Digests(folder, stamps_file)
    has_metadata = (folder / METADATA_FILE).is_file()
    rows = read_metadata(folder / METADATA_FILE) if has_metadata else _found_files(folder)
    songs: list[SourceSong] = []
    refusals: list[Refusal] = []
    for row in rows:
        if isinstance(row, MetadataError):
            refusals.append(_refusal(row.item_id, row))
            continue
        try:
            songs.append(_source_song(row, digests))
        except PathError as error:
            refusals.append(_refusal(row.song_id, error))
    digests.save()
    return Listing(tuple(songs), tuple(refusals))


def _found_files(folder: Path) -> Iterator[SongMetadata]:
    """Every audio file, named by its path; hidden folders and files are passed over."""
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = (Path(place) / name).relative_to(folder)
            if path.suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield SongMetadata(song_id=path.as_posix(), audio=path.as_posix())


def _source_song(row: SongMetadata, digests: "_Digests") -> SourceSong:
    stems = None
    if row.vocal is not None and row.accompaniment is not None:
        stems = StemReferences(digests.reference(row.vocal), digests.reference(row.accompaniment))
    return SourceSong(
        song_id=row.song_id,
        audio=digests.reference(row.audio),
        true_stems=stems,
        collection=row.collection,
        singer=row.singer,
        licence=row.licence,
        source=row.source,
        consent=row.consent,
        given_lyrics=row.lyrics,
        given_tags=row.tags,
    )


def _refusal(item_id: str, error: MetadataError | PathError) -> Refusal:
    # A file's name need not be text.
    return Refusal(item_id.encode(errors="backslashreplace").decode(), STAGE, error.reason, error.detail)


class _Digests:
    """Digests of files below a folder, known ones not computed again."""

    def __init__(self, folder: Path, stamps_file: Path) -> None:
        self._folder = folder.resolve()
        self._file = stamps_file
        known = _read_stamps(stamps_file)
        self._known = {(stamp.path, stamp.num_bytes, stamp.changed_ns): stamp for stamp in known}
        self._seen: list[FileStamp] = []

    def reference(self, path: str) -> AudioReference:
        """The reference of a file inside the folder; raises PathError for any other path."""
        if not path.isprintable():
            raise PathError("unprintable path", repr(path))
        whole = Path(os.path.normpath(self._folder / path))
        if not whole.is_relative_to(self._folder) or whole == self._folder:
            raise PathError("path outside the folder", f"{path!r}; expected a path below {self._folder}")
        if whole.resolve() != whole:
            raise PathError("symbolic link", f"{path!r} leads to {whole.resolve()}; links are not followed")
        if not whole.is_file():
            raise PathError("missing", f"{path!r} is no file in {self._folder}")
        status = whole.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        stamp = self._known.get(key) or FileStamp(*key, sha256=_digest(whole))
        self._seen.append(stamp)
        return AudioReference(AudioPlace.SOURCE, path, stamp.sha256, stamp.num_bytes)

    def save(self) -> None:
        """Keep the digests of the files that were seen."""
        if set(self._seen) != set(self._known.values()):
            table = table_of(self._seen, FileStamp)
            write_atomically(self._file, lambda path: pq.write_table(table, path))


def _read_stamps(file: Path) -> Sequence[FileStamp]:
    return records_of(pq.read_table(file), FileStamp) if file.exists() else []


def _digest(path: Path) -> str:
    try:
        return digest_file(path)
    except PermissionError as error:
        raise PathError("not readable", str(error)) from None
