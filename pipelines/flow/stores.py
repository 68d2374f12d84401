"""Stores of files by address: a bucket or a folder, through obstore, which waits for one that is away."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.flow.pointers import BUCKET_SCHEME, BucketPointer, FilePointer, Pointer, endpoint_settings

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

_PATIENCE = timedelta(minutes=10)
_MOST_RETRIES = 60


class RemoteStore:
    """Files below `s3://BUCKET/PREFIX` or a folder; each is there whole or not at all.

    Credentials, region and another store's address come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
    `AWS_ENDPOINT_URL`). Raises ModuleNotFoundError where obstore is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._is_bucket = uri.startswith(BUCKET_SCHEME)
        if self._is_bucket and not uri.removeprefix(BUCKET_SCHEME).split("/")[0]:
            raise ValueError(f"{uri!r} is no bucket; expected s3://BUCKET or s3://BUCKET/PREFIX")
        self._store: S3Store | LocalStore = self._bucket() if self._is_bucket else self._folder()

    def sizes(self, below: str) -> dict[str, int]:
        """The files below a path, by name, with their bytes."""
        import obstore

        pages = obstore.list(self._store, below)
        return {str(found["path"]): int(found["size"]) for page in pages for found in page}

    def put(self, name: str, content: Path | bytes) -> None:
        """Store a file."""
        import obstore

        obstore.put(self._store, name, content)

    def get(self, name: str) -> bytes:
        """A file's bytes; raises FileNotFoundError where there is none."""
        import obstore

        return bytes(obstore.get(self._store, name).bytes())

    def pointer(self, name: str) -> Pointer:
        """A pointer among the files."""
        if self._is_bucket:
            return BucketPointer(f"{self.uri}/{name}")
        return FilePointer(Path(self.uri) / name)

    def _folder(self) -> "LocalStore":
        from obstore.store import LocalStore

        return LocalStore(prefix=Path(self.uri).resolve(), mkdir=True)

    def _bucket(self) -> "S3Store":
        from obstore.store import S3Store

        bucket, _, prefix = self.uri.removeprefix(BUCKET_SCHEME).partition("/")
        settings: dict[str, Any] = {"prefix": prefix or None} | endpoint_settings()
        return S3Store(bucket, retry_config={"max_retries": _MOST_RETRIES, "retry_timeout": _PATIENCE}, **settings)
