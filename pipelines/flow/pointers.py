"""Pointers that several writers move: a small text which one of them changes only as it last saw it."""

import fcntl
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from levo.song.digest import digest_bytes
from levo.song.files import write_bytes_atomically, writing

if TYPE_CHECKING:
    from obstore.store import S3Store

BUCKET_SCHEME = "s3://"


class MovedPointerError(RuntimeError):
    """Somebody else moved the pointer in the meantime."""


@dataclass(frozen=True, slots=True)
class Pointed:
    """What a pointer says, and the version that tells whether it is still the same."""

    text: str
    version: str


class Pointer(Protocol):
    """A place that holds a text or nothing; of writers who saw the same, one moves it and the others are told."""

    def read(self) -> Pointed | None:
        """What it says now, None where it was never moved."""
        ...

    def move(self, seen: Pointed | None, text: str) -> Pointed:
        """Let it say `text`, unless it says something else than what was `seen`: MovedPointerError then."""
        ...


@dataclass(frozen=True, slots=True)
class FilePointer:
    """A file of a folder that all writers share; the lock beside it is held for as long as it is moved."""

    file: Path

    def read(self) -> Pointed | None:
        """The file's text."""
        try:
            text = self.file.read_text()
        except FileNotFoundError:
            return None
        return Pointed(text, digest_bytes(text.encode()))

    def move(self, seen: Pointed | None, text: str) -> Pointed:
        """Rename a new file over the one that was seen."""
        with writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_name(f".{self.file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            now = self.read()
            if (now and now.version) != (seen and seen.version):
                raise MovedPointerError(_told(self.file, seen, now))
            write_bytes_atomically(self.file, text.encode())
        return Pointed(text, digest_bytes(text.encode()))


@dataclass(frozen=True)
class BucketPointer:
    """An object that is written with `If-Match` of what was seen, or `If-None-Match: *` where there was none.

    `uri` is `s3://BUCKET/KEY`. Raises ModuleNotFoundError where obstore is not installed.
    """

    uri: str

    def read(self) -> Pointed | None:
        """The object's text, and its ETag."""
        import obstore
        from obstore.exceptions import NotFoundError

        try:
            found = obstore.get(self._store, self._key)
        except (NotFoundError, FileNotFoundError):
            return None
        return Pointed(bytes(found.bytes()).decode(), str(found.meta["e_tag"]))

    def move(self, seen: Pointed | None, text: str) -> Pointed:
        """Put the object on the condition that it is still the one that was seen."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if seen is None else {"e_tag": seen.version}
        try:
            put = obstore.put(self._store, self._key, text.encode(), mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            raise MovedPointerError(_told(self.uri, seen, self.read())) from None
        return Pointed(text, str(put["e_tag"]))

    @property
    def _key(self) -> str:
        return self.uri.removeprefix(BUCKET_SCHEME).partition("/")[2]

    @cached_property
    def _store(self) -> "S3Store":
        from obstore.store import S3Store

        return S3Store(self.uri.removeprefix(BUCKET_SCHEME).partition("/")[0], **endpoint_settings())


def endpoint_settings() -> dict[str, Any]:
    """Another store's address than Amazon's, as obstore takes it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint is None:
        return {}
    return {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http://")}}


def _told(place: object, seen: Pointed | None, now: Pointed | None) -> str:
    said = [repr(one.text.strip()[:80]) if one else "nothing" for one in (seen, now)]
    return f"{place} said {said[0]} and says {said[1]} now: somebody else moved it"
