"""Parquet tables published as snapshots: files first, then the manifest, then the pointer `CURRENT` moves."""

import fcntl
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from levo.song.digest import digest_file, digest_json
from levo.song.files import flush_to_disk, write_bytes_atomically, writing
from levo.song.schema import schema_digest

POINTER = "CURRENT"
SNAPSHOTS = "snapshots"
MANIFEST = "manifest.json"
_DRAFT_SUFFIX = ".partial"
_ROWS_PER_FILE = 1 << 16
Rows: TypeAlias = pa.Table | Iterable[pa.Table]


class SnapshotError(ValueError):
    """A snapshot that is missing, damaged, or not what its manifest says."""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One Parquet file of a table."""

    table: str
    name: str
    num_bytes: int
    sha256: str
    num_rows: int
    schema_digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot consists of, what it follows, and which code and models made it.

    The id is the digest of all but the parent: equal content has one name.
    """

    snapshot_id: str
    parent: str | None
    files: tuple[SnapshotFile, ...]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published snapshot; it is read by its manifest and never by what lies in the folder."""

    folder: Path
    manifest: Manifest

    def table(self, name: str) -> pa.Table:
        """A table's rows in order; raises SnapshotError where there is no such table or a file lacks rows."""
        return pa.concat_tables(list(self.parts(name)))

    def parts(self, name: str) -> Iterator[pa.Table]:
        """The same rows file by file, for tables that are larger than memory."""
        files = [file for file in self.manifest.files if file.table == name]
        if not files:
            known = sorted({file.table for file in self.manifest.files})
            raise SnapshotError(f"snapshot {self.folder} has no table {name!r}; it has {known}")
        yield from map(self._read, files)

    def verify(self) -> None:
        """Read every file again and compare its digest; raises SnapshotError naming the first that differs."""
        for file in self.manifest.files:
            path = self.folder / file.name
            if not path.is_file() or digest_file(path) != file.sha256:
                raise SnapshotError(f"{path} is missing or differs from its manifest; publish the snapshot again")

    def _read(self, file: SnapshotFile) -> pa.Table:
        path = self.folder / file.name
        if not path.is_file() or path.stat().st_size != file.num_bytes:
            raise SnapshotError(f"{path} is missing or not of {file.num_bytes} bytes; publish the snapshot again")
        return pq.ParquetFile(path).read()


@dataclass(frozen=True, slots=True)
class SnapshotStore:
    """A folder of snapshots and the pointer to the newest."""

    folder: Path

    def current(self) -> Snapshot | None:
        """The newest snapshot, or None where nothing was published yet."""
        pointer = self.folder / POINTER
        if not pointer.exists():
            return None
        return self.open(pointer.read_text().strip())

    def open(self, snapshot_id: str) -> Snapshot:
        """A snapshot by its id."""
        manifest = self.folder / SNAPSHOTS / snapshot_id / MANIFEST
        if not manifest.is_file():
            raise SnapshotError(f"no snapshot {snapshot_id!r} in {self.folder}")
        return Snapshot(manifest.parent, _parse_manifest(manifest))

    def ids(self) -> list[str]:
        """The ids of all snapshots that were published, sorted."""
        return sorted(path.parent.name for path in (self.folder / SNAPSHOTS).glob(f"*/{MANIFEST}"))

    def find(self, beginning: str) -> Snapshot:
        """The one snapshot whose id begins so; raises SnapshotError where there is none, or more than one."""
        known = self.ids()
        found = [name for name in known if beginning and name.startswith(beginning)]
        if len(found) != 1:
            listed = ", ".join(name[:12] for name in known) or "none"
            raise SnapshotError(f"{len(found)} snapshots in {self.folder} begin with {beginning!r}; there are {listed}")
        return self.open(found[0])

    def publish(
        self, tables: Mapping[str, Rows], versions: Mapping[str, str], guard: Callable[[], None] | None = None
    ) -> Snapshot:
        """Write tables as the newest snapshot; the same content as the newest one changes nothing.

        A table that comes in parts is one file a part, and only one part of it is in memory at a time. Where writing
        fails (a full disk, a kill) the pointer stays and readers see the snapshot before. `guard` is called at the last
        moment: where it raises (a lease that was lost) nothing is published.
        """
        with self._lock(), writing(self.folder):
            self._remove_drafts()
            parent = self.current()
            draft = self.folder / SNAPSHOTS / f".{uuid.uuid4().hex}{_DRAFT_SUFFIX}"
            draft.mkdir(parents=True)
            try:
                manifest = _write_draft(draft, tables, versions, parent)
                place = draft.with_name(manifest.snapshot_id)
                if not (place / MANIFEST).exists():
                    draft.rename(place)
                    flush_to_disk(place.parent)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            if guard is not None:
                guard()
            if parent is None or parent.manifest.snapshot_id != manifest.snapshot_id:
                write_bytes_atomically(self.folder / POINTER, f"{manifest.snapshot_id}\n".encode())
            return self.open(manifest.snapshot_id)

    def point_to(self, snapshot_id: str) -> Snapshot:
        """Make a snapshot that is there, whole, the newest; raises SnapshotError where it is not."""
        found = self.open(snapshot_id)
        found.verify()
        with self._lock():
            write_bytes_atomically(self.folder / POINTER, f"{snapshot_id}\n".encode())
        return found

    def _remove_drafts(self) -> None:
        # Whoever left one was killed: it would hold the lock otherwise.
        for draft in (self.folder / SNAPSHOTS).glob(f".*{_DRAFT_SUFFIX}"):
            shutil.rmtree(draft)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _write_draft(
    draft: Path, tables: Mapping[str, Rows], versions: Mapping[str, str], parent: Snapshot | None
) -> Manifest:
    files = tuple(
        _write_file(draft, name, number, part)
        for name, rows in sorted(tables.items(), key=itemgetter(0))
        for number, part in enumerate(_parts(rows))
    )
    snapshot_id = digest_json({"files": [asdict(file) for file in files], "versions": dict(versions)})
    manifest = Manifest(snapshot_id, parent.manifest.snapshot_id if parent else None, files, dict(versions))
    write_bytes_atomically(draft / MANIFEST, (json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n").encode())
    return manifest


def _parts(rows: Rows) -> Iterable[pa.Table]:
    if not isinstance(rows, pa.Table):
        return rows
    starts = range(0, max(rows.num_rows, 1), _ROWS_PER_FILE)
    return (rows.slice(start, _ROWS_PER_FILE) for start in starts)


def _write_file(draft: Path, table_name: str, part: int, rows: pa.Table) -> SnapshotFile:
    path = draft / f"{table_name}-{part:05d}.parquet"
    pq.write_table(rows, path)
    flush_to_disk(path)
    return SnapshotFile(
        table=table_name,
        name=path.name,
        num_bytes=path.stat().st_size,
        sha256=digest_file(path),
        num_rows=rows.num_rows,
        schema_digest=schema_digest(rows.schema),
    )


def _parse_manifest(path: Path) -> Manifest:
    fields = json.loads(path.read_text())
    files = tuple(SnapshotFile(**file) for file in fields["files"])
    return Manifest(fields["snapshot_id"], fields["parent"], files, fields["versions"])
