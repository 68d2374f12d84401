"""Marks of the items that a worker has begun; one that comes again with its mark on it may have killed the worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from levo.song.files import write_bytes_atomically


@dataclass(frozen=True, slots=True)
class Attempts:
    """A folder that all workers see, with a file for each item in work: how often it was tried without an end.

    A worker that is killed leaves its marks; whoever gets the items next tries each alone, and one that was tried
    alone `budget` times is given up. A kill from outside leaves marks too: the next try ends, and takes them away.
    """

    folder: Path
    budget: int = 3

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ValueError(f"a budget of {self.budget} attempts; expected 1 or more")

    def begin(self, keys: Sequence[str], *, alone: bool) -> None:
        """Mark items as being worked on; together with others counts as no try of their own."""
        for key in keys:
            tried = self.tried_alone(key)
            write_bytes_atomically(self._file(key), b"%d\n" % (tried + alone), flush=False)

    def end(self, keys: Sequence[str]) -> None:
        """Take the marks away: the items have their outcomes."""
        for key in keys:
            self._file(key).unlink(missing_ok=True)

    def is_suspect(self, key: str) -> bool:
        """Whether an earlier try of this item never ended."""
        return self._file(key).exists()

    def tried_alone(self, key: str) -> int:
        """How many tries of this item alone never ended."""
        try:
            return int(self._file(key).read_text() or 0)
        except (FileNotFoundError, ValueError):
            return 0

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / key
