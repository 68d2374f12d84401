"""What a root of recordings is: files are read below it and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol


class PathError(ValueError):
    """A path that may not or cannot be read, with a countable reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file is still the one that it was, without reading it."""

    path: str
    num_bytes: int
    changed_ns: int


class Root(Protocol):
    """A place of recordings; paths are relative to it, with `/` between their parts."""

    def files(self) -> Iterator[str]:
        """Every file below it, folder by folder and sorted; names that begin with a dot are passed over."""
        ...

    def state(self, path: str) -> FileState:
        """A file's size and time of change; raises PathError for whatever may not be read."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """A file to read and to seek in; raises PathError for whatever may not be read."""
        ...


def check_printable(path: str) -> None:
    """Raise PathError for a name that cannot be shown."""
    if not path.isprintable():
        raise PathError("unprintable path", repr(path))
