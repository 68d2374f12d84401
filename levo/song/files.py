"""Files and folders that appear whole or not at all, and errors that name the place where a disk took no more."""

import errno
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NUMPY_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_FULL_BYTES = 1 << 16


class DiskError(OSError):
    """A place that takes no more bytes; `errno` tells why, `filename` where."""

    def __str__(self) -> str:
        return f"cannot write {self.filename}: {self.strerror}; make room and run the same again, it goes on from there"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise `DiskError` for whatever a library raises in the block because the disk of `path` took no more.

    safetensors, libsndfile, numpy and torch have errors of their own for it, and no library's error names the file.
    """
    try:
        yield
    except DiskError:
        raise
    except Exception as error:
        code = _refusal(error, path)
        if code is None:
            raise
        raise DiskError(code, os.strerror(code), str(path)) from error


def write_atomically(path: Path, write: Callable[[Path], object], *, flush: bool = True) -> None:
    """Let `write` fill a temporary file and rename it to `path`; where it fails, nothing is left.

    Without `flush` a power cut may still leave an empty file; a kill or a full disk does not.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            if flush:
                flush_to_disk(temporary)
            temporary.replace(path)
            if flush:
                flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes_atomically(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Put bytes at `path`, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write, flush=flush)


def write_json(path: Path, value: Any) -> None:
    """Put JSON at `path`, whole or not at all; records are written as objects, what else JSON lacks as text."""
    write_bytes_atomically(path, f"{json.dumps(value, indent=1, default=_plain)}\n".encode())


@contextmanager
def staged_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A sibling folder to write into, renamed to `folder` at the end and removed if the block fails.

    Raises FileExistsError where `folder` is there already, unless it may be replaced; it then stays until the new one
    is whole.
    """
    if folder.exists() and not replace:
        raise FileExistsError(f"{folder} exists; give a folder of its own")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
        staging.chmod(0o755)
        try:
            yield staging
            _move(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def copy_folder(source: Path, folder: Path) -> None:
    """Copy a folder, in place of an earlier one at `folder`, which stays until the copy is whole."""
    with staged_folder(folder, replace=True) as staging:
        shutil.copytree(source, staging, dirs_exist_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _move(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        staging.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _refusal(error: Exception, path: Path) -> int | None:
    """Why the disk refused, as an `errno`; None for an error that is not the disk's."""
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return error.errno
    text = str(error)
    for code in _REFUSALS:
        if os.strerror(code) in text:
            return code
    if isinstance(error, OSError) and _NUMPY_SHORT_WRITE.search(text):
        return errno.ENOSPC
    is_full = isinstance(error, OSError | RuntimeError) and _free_bytes(path) < _FULL_BYTES
    return errno.ENOSPC if is_full else None


def _free_bytes(path: Path) -> int:
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(place).free
