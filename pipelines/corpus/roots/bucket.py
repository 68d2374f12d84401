"""Recordings in a bucket, read through Arrow's file systems; a store that is away for a while is waited for."""

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, TypeVar

from pyarrow.fs import FileSelector, FileType, S3FileSystem

from pipelines.corpus.roots.protocol import FileState, PathError, check_printable

BUCKET_SCHEME = "s3://"
_READ_BYTES = 1 << 20
# Arrow's names of the errors after which the store may answer again.
_AWAY = re.compile(
    "AWS Error (NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|THROTTLING|REQUEST_TIMEOUT)"
)
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class BucketRoot:
    """A bucket, or what lies below a prefix of it: `s3://bucket/prefix`.

    Credentials and region come from the environment as usual (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, roles ...), another
    store's address from `AWS_ENDPOINT_URL`. While the store does not answer, reading waits up to `patience_s`.
    """

    uri: str
    patience_s: float = 600.0

    def __post_init__(self) -> None:
        bucket = self.uri.removeprefix(BUCKET_SCHEME).split("/")[0]
        if not self.uri.startswith(BUCKET_SCHEME) or not bucket or not self.uri.isprintable():
            raise ValueError(f"{self.uri!r} is no bucket; expected s3://BUCKET or s3://BUCKET/PREFIX")

    def __str__(self) -> str:
        return self.uri

    def files(self) -> Iterator[str]:
        """Every object below the prefix."""
        return iter(sorted(name for name in self._states if not any(part.startswith(".") for part in name.split("/"))))

    def state(self, path: str) -> FileState:
        """Size and time of change, as the listing of the bucket gave them."""
        check_printable(path)
        if path.startswith("/") or ".." in path.split("/"):
            raise PathError("path outside the bucket", f"{path!r}; expected a path below {self.uri}")
        if path not in self._states:
            raise PathError("missing", f"{path!r} is no object in {self.uri}")
        return self._states[path]

    def open(self, path: str) -> IO[bytes]:
        """The object; every read of it waits for a store that is away."""
        state = self.state(path)
        return io.BufferedReader(_BucketFile(self, f"{self._base}/{path}", state.num_bytes), _READ_BYTES)

    @cached_property
    def filesystem(self) -> Any:
        """The store, as Arrow reads it."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint is None:
            return S3FileSystem()
        scheme, _, place = endpoint.rpartition("://")
        return S3FileSystem(endpoint_override=place, scheme="http" if scheme == "http" else "https")

    def patiently(self, act: Callable[[], Result]) -> Result:
        """What `act` gives, tried again with growing waits while the store is away; a refusal is final."""
        wait_s, started_s = _FIRST_WAIT_S, time.monotonic()
        while True:
            try:
                return act()
            except OSError as error:
                waited_s = time.monotonic() - started_s
                if not _AWAY.search(str(error)):
                    raise
                if waited_s >= self.patience_s:
                    advice = "run the same again, it goes on from there"
                    raise OSError(f"{self.uri} has not answered for {waited_s:.0f} s; {advice}: {error}") from error
            time.sleep(min(wait_s, self.patience_s))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def __getstate__(self) -> dict[str, Any]:
        # A worker opens its own connection.
        return {"uri": self.uri, "patience_s": self.patience_s}

    @property
    def _base(self) -> str:
        return self.uri.removeprefix(BUCKET_SCHEME).rstrip("/")

    @cached_property
    def _states(self) -> dict[str, FileState]:
        selector = FileSelector(self._base, recursive=True)
        try:
            found = self.patiently(lambda: self.filesystem.get_file_info(selector))
        except OSError as error:
            if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in str(error):
                raise FileNotFoundError(f"there is no {self.uri}; expected a bucket that can be listed") from None
            raise
        start = len(self._base) + 1
        states = [FileState(i.path[start:], i.size, i.mtime_ns or 0) for i in found if i.type == FileType.File]
        return {state.path: state for state in states}


class _BucketFile(io.RawIOBase):
    """An object read range by range; each read may begin a new connection."""

    def __init__(self, root: BucketRoot, key: str, num_bytes: int) -> None:
        super().__init__()
        self._root, self._key, self._num_bytes = root, key, num_bytes
        self._position = 0
        self._source: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"position {start + offset} lies before the object's beginning")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._num_bytes - self._position))
        found = self._root.patiently(lambda: self._read(wanted)) if wanted else b""
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def _read(self, num_bytes: int) -> bytes:
        try:
            if self._source is None:
                self._source = self._root.filesystem.open_input_file(self._key)
            found: bytes = self._source.read_at(num_bytes, self._position)
        except OSError:
            self._source = None
            raise
        return found
