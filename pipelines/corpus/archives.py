"""Recordings in zip and tar archives: their sound is taken out once, into the corpus's objects, within limits."""

import bz2
import gzip
import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import IO, TypeAlias

from pipelines.corpus.metadata import METADATA_FILE
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.corpus.roots.protocol import PathError
from pipelines.flow.objects import ObjectStore, ObjectTooLargeError, Readable

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")
AUDIO_SUFFIXES = frozenset({".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".w64"})
# Sound hardly shrinks; what unpacks to more than this is no archive of recordings.
_MAX_RATIO = 50
_SMALL_BYTES = 64 << 20
_MAX_METADATA_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 20
# Not the suffix of what this project writes itself: who reads it knows that it is a stranger's file.
_RECORDING = "recording"
_ZIP_TAIL_BYTES = 1 << 17
_ZIP64_MARK = 0xFFFFFFFF
_MAX_DIRECTORY_BYTES = 64 << 20
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
)
Content: TypeAlias = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may hold; what its headers say of sizes is not believed."""

    max_member_bytes: int = 1 << 30
    max_total_bytes: int = 1 << 40
    max_members: int = 1_000_000
    max_depth: int = 2


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file in an archive: sound, an object now, or the text of a `metadata.jsonl`; else why it is not read."""

    path: str
    audio: AudioReference | None = None
    text: bytes | None = None
    reason: str | None = None
    detail: str | None = None


def is_archive(path: str) -> bool:
    """Whether a file's name says that it is one."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def is_audio(path: str) -> bool:
    """Whether a file's name says that it is sound."""
    return PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES


def unpack(file: IO[bytes], store: ObjectStore, limits: ArchiveLimits) -> list[ArchiveMember]:
    """Every recording, `metadata.jsonl` and refused member of an archive, nested ones included, in the archive's order.

    Raises PathError where the archive as a whole cannot be read or holds more than it may.
    """
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    allowance = _Allowance(min(limits.max_total_bytes, max(_SMALL_BYTES, _MAX_RATIO * num_bytes)), limits.max_members)
    return list(_members(file, "", 1, _Unpacking(store, limits, allowance)))


@dataclass(slots=True)
class _Allowance:
    """Bytes and members that may still come out of an archive and of those in it."""

    num_bytes: int
    num_members: int

    def take_bytes(self, num_bytes: int) -> None:
        self.num_bytes -= num_bytes
        if self.num_bytes < 0:
            raise PathError(
                "archive too large", f"it unpacks to more than {_MAX_RATIO} times its size, or more than it may hold"
            )

    def take_member(self) -> None:
        self.num_members -= 1
        if self.num_members < 0:
            raise PathError("archive too large", "it holds more files than it may")


@dataclass(frozen=True, slots=True)
class _Unpacking:
    store: ObjectStore
    limits: ArchiveLimits
    allowance: _Allowance


def _members(file: IO[bytes], prefix: str, depth: int, unpacking: _Unpacking) -> Iterator[ArchiveMember]:
    try:
        for name, is_file, content in _entries(file, unpacking.allowance):
            unpacking.allowance.take_member()
            path = prefix + name
            if not (is_audio(name) or is_archive(name) or PurePosixPath(name).name == METADATA_FILE):
                continue
            if not path.isprintable() or name.startswith("/") or ".." in PurePosixPath(name).parts:
                yield ArchiveMember(repr(path), reason="bad path in an archive", detail=f"{path!r}")
            elif not is_file:
                yield ArchiveMember(path, reason="link in an archive", detail=f"{path!r} is no regular file")
            else:
                yield from _taken(path, content, depth, unpacking)
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise PathError("unreadable archive", f"{prefix or 'the archive'}: {error}") from None


def _taken(path: str, content: Content, depth: int, unpacking: _Unpacking) -> Iterator[ArchiveMember]:
    limits = unpacking.limits
    if is_archive(path):
        if depth >= limits.max_depth:
            detail = f"{path!r} lies {depth} archives deep; expected at most {limits.max_depth - 1}"
            yield ArchiveMember(path, reason="archive too deep", detail=detail)
            return
        with tempfile.TemporaryFile() as inner:
            shutil.copyfileobj(_Counted(content(), unpacking.allowance), inner)
            inner.seek(0)
            yield from _members(inner, f"{path}/", depth + 1, unpacking)
        return
    stream = _Counted(content(), unpacking.allowance)
    if not is_audio(path):
        yield ArchiveMember(path, text=stream.read(_MAX_METADATA_BYTES))
        return
    try:
        found = unpacking.store.put_stream(stream, _RECORDING, limits.max_member_bytes)
    except ObjectTooLargeError:
        yield ArchiveMember(path, reason="too large", detail=f"more than {limits.max_member_bytes} bytes")
        return
    place = unpacking.store.path(found).relative_to(unpacking.store.folder).as_posix()
    yield ArchiveMember(path, AudioReference(AudioPlace.OBJECTS, place, found.sha256, found.num_bytes))


def _entries(file: IO[bytes], allowance: _Allowance) -> Iterator[tuple[str, bool, Content]]:
    """Each member's name, whether it is a regular file, and how to read it; folders are passed over."""
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"PK":
        yield from _zip_entries(file)
    else:
        yield from _tar_entries(file, magic, allowance)


def _zip_entries(file: IO[bytes]) -> Iterator[tuple[str, bool, Content]]:
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        _check_apart(archive.infolist())
        for info in archive.infolist():
            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16)
                yield info.filename, kind in (0, stat.S_IFREG), lambda info=info: archive.open(info)  # type: ignore[misc]


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a zip file whose list of members alone would fill the memory."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - _ZIP_TAIL_BYTES))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    directory_bytes = int.from_bytes(tail[place + 12 : place + 16], "little") if place >= 0 else 0
    if directory_bytes == _ZIP64_MARK:
        place = tail.rfind(b"PK\x06\x06")
        directory_bytes = int.from_bytes(tail[place + 40 : place + 48], "little") if place >= 0 else end
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise PathError("archive too large", f"its list of members has {directory_bytes} bytes")
    file.seek(0)


def _check_apart(members: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip file that names the same bytes again and again (D. Fifield: A better zip bomb, 2019)."""
    places = sorted((info.header_offset, info.compress_size) for info in members)
    for (start, num_bytes), (following, _) in pairwise(places):
        if start + num_bytes > following:
            raise PathError("archive too large", "its members overlap: it would unpack the same bytes again and again")


def _tar_entries(file: IO[bytes], magic: bytes, allowance: _Allowance) -> Iterator[tuple[str, bool, Content]]:
    stream = _Counted(_decompressed(file, magic), allowance) if _compression(magic) else file
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            if not info.isdir():
                yield info.name, info.isreg(), lambda info=info: archive.extractfile(info)  # type: ignore[misc]
            # The list of members would grow with the archive.
            archive.members.clear()  # type: ignore[attr-defined]


def _compression(magic: bytes) -> str | None:
    return {b"\x1f\x8b": "gzip", b"BZ": "bz2"}.get(magic[:2])


def _decompressed(file: IO[bytes], magic: bytes) -> Readable:
    return gzip.GzipFile(fileobj=file) if _compression(magic) == "gzip" else bz2.BZ2File(file)


class _Counted(io.RawIOBase):
    """A stream that takes what is read from an allowance."""

    def __init__(self, stream: Readable, allowance: _Allowance) -> None:
        super().__init__()
        self._stream, self._allowance = stream, allowance

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(_BLOCK_BYTES if size < 0 else size)
        self._allowance.take_bytes(len(found))
        return found
