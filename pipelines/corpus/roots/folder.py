"""Recordings in a folder of this machine."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.corpus.roots.protocol import FileState, PathError, check_printable


@dataclass(frozen=True, slots=True)
class FolderRoot:
    """A folder; symbolic links are not followed, and only regular files are read."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.resolve())

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> Iterator[str]:
        """Every file below the folder, links included: whoever asks for one learns why it is not read."""
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder} is no folder; expected one that holds recordings")
        top = str(self.folder)
        for place, folders, files in os.walk(top, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = os.path.relpath(place, top) + "/" if place != top else ""
            yield from (below + name for name in sorted(files) if not name.startswith("."))

    def state(self, path: str) -> FileState:
        """Size and time of change."""
        _, status = self._checked(path)
        return FileState(path, status.st_size, status.st_mtime_ns)

    def open(self, path: str) -> IO[bytes]:
        """The file, unless it became something else since it was checked."""
        whole, _ = self._checked(path)
        try:
            file = os.fdopen(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except PermissionError as error:
            raise PathError("not readable", str(error)) from None
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise PathError("missing", f"{path!r} is no file in {self.folder}")
        return file

    def _checked(self, path: str) -> tuple[str, os.stat_result]:
        check_printable(path)
        whole = os.path.normpath(self.folder / path)
        if not whole.startswith(f"{str(self.folder).rstrip('/')}/"):
            raise PathError("path outside the folder", f"{path!r}; expected a path below {self.folder}")
        place = os.path.realpath(whole)
        if place != whole:
            raise PathError("symbolic link", f"{path!r} leads to {place}; links are not followed")
        try:
            status = os.lstat(whole)
        except OSError:
            raise PathError("missing", f"{path!r} is no file in {self.folder}") from None
        if not stat.S_ISREG(status.st_mode):
            raise PathError("missing", f"{path!r} is no file in {self.folder}")
        return whole, status
