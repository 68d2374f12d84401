"""Recordings by the names that command lines give them: a folder, a bucket, or a manifest in either."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pipelines.corpus.roots.bucket import BUCKET_SCHEME, BucketRoot
from pipelines.corpus.roots.folder import FolderRoot

MANIFEST_SUFFIXES = (".jsonl", ".parquet")
AnyRoot: TypeAlias = FolderRoot | BucketRoot


@dataclass(frozen=True, slots=True)
class Recordings:
    """A root, and the manifest in it that names its songs; without one every recording below the root is a song."""

    root: AnyRoot
    manifest: str | None = None

    def __str__(self) -> str:
        return str(self.root) if self.manifest is None else f"{self.root}/{self.manifest}"


def recordings_of(name: str | Path) -> Recordings:
    """A folder, `s3://BUCKET/PREFIX`, or a manifest (JSON lines or Parquet), whose folder is then the root."""
    text = str(name)
    folder, _, last = text.rpartition("/")
    is_manifest = last.endswith(MANIFEST_SUFFIXES)
    if text.startswith(BUCKET_SCHEME):
        return Recordings(BucketRoot(folder), last) if is_manifest else Recordings(BucketRoot(text.rstrip("/")))
    path = Path(name).resolve()
    if is_manifest and not path.is_dir():
        return Recordings(FolderRoot(path.parent), path.name)
    return Recordings(FolderRoot(path))
