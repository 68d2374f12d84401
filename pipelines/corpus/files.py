"""The files of recordings by their digests: known ones are not read again, those in archives are taken out once."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow.parquet as pq

from levo.song.digest import digest_stream
from levo.song.files import write_atomically
from levo.song.schema import records_of, table_of
from pipelines.corpus.archives import ArchiveLimits, ArchiveMember, is_archive, unpack
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.corpus.roots.named import AnyRoot
from pipelines.corpus.roots.protocol import FileState, PathError
from pipelines.flow.objects import ObjectStore

Stamp = TypeVar("Stamp", bound=FileState)


@dataclass(frozen=True, slots=True)
class FileStamp(FileState):
    """A file's digest as it was in this state."""

    sha256: str


@dataclass(frozen=True, slots=True)
class ArchiveStamp(FileState):
    """What an archive held in this state."""

    members: tuple[ArchiveMember, ...]


class UnknownFileError(LookupError):
    """A file, or an archive, that has to be read before its digest is known."""


class RecordingFiles:
    """Files below a root; several threads may ask at once."""

    def __init__(self, root: AnyRoot, stamps: Path, store: ObjectStore, limits: ArchiveLimits) -> None:
        self.root = root
        self._store, self._limits = store, limits
        self._files = _Stamps(stamps / "listing.parquet", FileStamp)
        self._archives = _Stamps(stamps / "archives.parquet", ArchiveStamp)
        self._members: dict[str, Mapping[str, ArchiveMember]] = {}
        self._unpacking = threading.Lock()

    def reference(self, path: str, *, only_known: bool = False) -> AudioReference:
        """The reference of a file, or of a member of an archive; raises PathError for any other path.

        With `only_known` nothing is read, and UnknownFileError is raised where it would have to be.
        """
        archive = self._archive_of(path)
        if archive is not None:
            if only_known and archive not in self._members:
                raise UnknownFileError(archive)
            return self._member(archive, path)
        state = self.root.state(path)
        stamp = self._files.known(state)
        if stamp is None:
            if only_known:
                raise UnknownFileError(path)
            stamp = FileStamp(state.path, state.num_bytes, state.changed_ns, self._digest(path))
        self._files.keep(stamp)
        return AudioReference(AudioPlace.SOURCE, path, stamp.sha256, stamp.num_bytes)

    def members(self, archive: str) -> Mapping[str, ArchiveMember]:
        """What lies in an archive, by its path in it; raises PathError where it cannot be read."""
        with self._unpacking:
            if archive not in self._members:
                stamp = self._unpacked(archive)
                self._archives.keep(stamp)
                self._members[archive] = {member.path: member for member in stamp.members}
            return self._members[archive]

    def save(self) -> None:
        """Keep what was learnt of the files that were asked for."""
        self._files.save()
        self._archives.save()

    def _member(self, archive: str, path: str) -> AudioReference:
        member = self.members(archive).get(path[len(archive) + 1 :])
        if member is None:
            raise PathError("missing", f"{path!r} is no recording in {archive}")
        if member.audio is None:
            raise PathError(member.reason or "missing", member.detail or f"{path!r} is no recording")
        return member.audio

    def _unpacked(self, archive: str) -> ArchiveStamp:
        state = self.root.state(archive)
        known = self._archives.known(state)
        if known is not None and all(self._is_stored(member) for member in known.members):
            return known
        with self.root.open(archive) as file:
            members = tuple(unpack(file, self._store, self._limits))
        return ArchiveStamp(state.path, state.num_bytes, state.changed_ns, members)

    def _archive_of(self, path: str) -> str | None:
        """The archive that a path leads into; a plain folder may have such a name too."""
        parts = path.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        return next((name for name in above if is_archive(name) and self._is_file(name)), None)

    def _is_file(self, path: str) -> bool:
        try:
            self.root.state(path)
        except PathError:
            return False
        return True

    def _is_stored(self, member: ArchiveMember) -> bool:
        return member.audio is None or (self._store.folder / member.audio.path).is_file()

    def _digest(self, path: str) -> str:
        with self.root.open(path) as file:
            return digest_stream(file)


class _Stamps(Generic[Stamp]):
    """Stamps of an earlier listing, and those of this one."""

    def __init__(self, file: Path, kind: type[Stamp]) -> None:
        self._file, self._kind = file, kind
        stamps = records_of(pq.read_table(file), kind) if file.exists() else []
        self._known = {_key(stamp): stamp for stamp in stamps}
        self._kept: dict[FileState, Stamp] = {}

    def known(self, state: FileState) -> Stamp | None:
        """The stamp of a file that is still in the state that it was in."""
        return self._known.get(_key(state))

    def keep(self, stamp: Stamp) -> None:
        """Keep a stamp for the next listing."""
        self._kept[_key(stamp)] = stamp

    def save(self) -> None:
        """Write what was kept, where it is something else than before."""
        if self._kept != self._known:
            table = table_of(list(self._kept.values()), self._kind)
            write_atomically(self._file, lambda path: pq.write_table(table, path))


def _key(state: FileState) -> FileState:
    return FileState(state.path, state.num_bytes, state.changed_ns)
