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
        for place, folders, files in os.walk(self.folder, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if not name.startswith("."):
                    yield (Path(place) / name).relative_to(self.folder).as_posix()

    def state(self, path: str) -> FileState:
        """Size and time of change."""
        status = self._checked(path).lstat()
        return FileState(path, status.st_size, status.st_mtime_ns)

    def open(self, path: str) -> IO[bytes]:
        """The file, unless it became something else since it was checked."""
        whole = self._checked(path)
        try:
            file = os.fdopen(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except PermissionError as error:
            raise PathError("not readable", str(error)) from None
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise PathError("missing", f"{path!r} is no file in {self.folder}")
        return file

    def _checked(self, path: str) -> Path:
        check_printable(path)
        whole = Path(os.path.normpath(self.folder / path))
        if not whole.is_relative_to(self.folder) or whole == self.folder:
            raise PathError("path outside the folder", f"{path!r}; expected a path below {self.folder}")
        if whole.resolve() != whole:
            raise PathError("symbolic link", f"{path!r} leads to {whole.resolve()}; links are not followed")
        if not whole.is_file():
            raise PathError("missing", f"{path!r} is no file in {self.folder}")
        return whole
