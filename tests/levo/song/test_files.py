"""Files and folders that appear whole or not at all, and what is said where a disk is full."""

import errno
import pickle
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from safetensors import SafetensorError

from levo.song.files import (
    DiskError,
    copy_folder,
    staged_folder,
    write_atomically,
    write_bytes_atomically,
    write_json,
    writing,
)

SmallDisk = Callable[[int], AbstractContextManager[None]]
LIMIT_BYTES = 4096
NUMBERS = np.random.default_rng(0).normal(size=10_000)


def every_file(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


WRITERS: dict[str, Callable[[Path], object]] = {
    "python": lambda path: path.write_bytes(NUMBERS.tobytes()),
    "numpy": lambda path: np.save(path.open("wb"), NUMBERS),
    "pyarrow": lambda path: pq.write_table(pa.table({"numbers": pa.array(NUMBERS)}), path),
    "safetensors": lambda path: safetensors.numpy.save_file({"numbers": NUMBERS}, path),
}


@pytest.mark.parametrize("library", WRITERS)
def test_a_full_disk_names_the_place_whatever_library_writes_and_leaves_the_old_file(
    library: str, tmp_path: Path, small_disk: SmallDisk
) -> None:
    path = tmp_path / "folder" / "file"
    write_bytes_atomically(path, b"old")
    with small_disk(LIMIT_BYTES), pytest.raises(DiskError, match=re.escape(f"cannot write {path}: ")) as refusal:
        write_atomically(path, WRITERS[library])
    assert refusal.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert every_file(tmp_path) == {path}
    assert path.read_bytes() == b"old"


def test_a_library_that_does_not_say_why_is_understood_where_nothing_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="unexpected pos"), writing(tmp_path):
        raise RuntimeError("unexpected pos 576 vs 534")
    monkeypatch.setattr("levo.song.files._free_bytes", lambda path: 0)
    with pytest.raises(DiskError, match="No space left on device"), writing(tmp_path):
        raise RuntimeError("unexpected pos 576 vs 534")
    with pytest.raises(ValueError, match="wrong"), writing(tmp_path):
        raise ValueError("wrong")


def test_an_error_that_is_not_the_disks_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), writing(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    with pytest.raises(SafetensorError), writing(tmp_path):
        raise SafetensorError("header too large")


def test_a_disks_refusal_crosses_processes(tmp_path: Path) -> None:
    refusal = DiskError(errno.ENOSPC, "No space left on device", str(tmp_path))
    assert str(pickle.loads(pickle.dumps(refusal))) == str(refusal)


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", write)
    assert every_file(tmp_path) == set()


def test_a_folder_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, small_disk: SmallDisk) -> None:
    folder = tmp_path / "folder"
    with staged_folder(folder) as staging:
        write_json(staging / "file", {"whole": True})
    files = every_file(tmp_path)

    def write_anew() -> None:
        with staged_folder(folder, replace=True) as staging:
            (staging / "first").write_bytes(b"x")
            (staging / "second").write_bytes(b"x" * 2 * LIMIT_BYTES)

    with small_disk(LIMIT_BYTES), pytest.raises(DiskError, match=re.escape(f"cannot write {folder}")):
        write_anew()
    assert every_file(tmp_path) == files
    with pytest.raises(FileExistsError, match="give a folder of its own"), staged_folder(folder):
        pass


def test_a_copy_takes_the_place_of_an_earlier_one_when_it_is_whole(tmp_path: Path, small_disk: SmallDisk) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_bytes(name.encode() * LIMIT_BYTES)
    copy_folder(tmp_path / "first", tmp_path / "copy")
    with small_disk(LIMIT_BYTES), pytest.raises(DiskError, match=re.escape(f"cannot write {tmp_path / 'copy'}")):
        copy_folder(tmp_path / "second", tmp_path / "copy")
    assert (tmp_path / "copy" / "deep" / "file").read_bytes() == b"first" * LIMIT_BYTES
    copy_folder(tmp_path / "second", tmp_path / "copy")
    assert (tmp_path / "copy" / "deep" / "file").read_bytes() == b"second" * LIMIT_BYTES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "first", "second"]
