"""Pointers in a folder and in a bucket: of writers that saw the same, exactly one moves it."""

import threading
from pathlib import Path

import pytest

from pipelines.flow.pointers import BucketPointer, FilePointer, MovedPointerError, Pointer

pytest.importorskip("obstore", reason="the extra `bucket` is not installed")


@pytest.fixture(params=["file", "bucket"])
def pointer(request: pytest.FixtureRequest, tmp_path: Path) -> Pointer:
    if request.param == "file":
        return FilePointer(tmp_path / "deep" / "CURRENT")
    return BucketPointer(f"{request.getfixturevalue('s3_bucket')}/deep/CURRENT")


def test_a_pointer_says_what_it_was_last_moved_to(pointer: Pointer) -> None:
    assert pointer.read() is None
    first = pointer.move(None, "one")
    assert pointer.read() == first
    second = pointer.move(first, "two")
    assert second.text == "two"
    assert pointer.read() == second


def test_who_saw_something_older_is_told_and_changes_nothing(pointer: Pointer) -> None:
    first = pointer.move(None, "one")
    with pytest.raises(MovedPointerError, match="said nothing and says 'one' now"):
        pointer.move(None, "late")
    second = pointer.move(first, "two")
    with pytest.raises(MovedPointerError, match="said 'one' and says 'two' now"):
        pointer.move(first, "late")
    assert pointer.read() == second


def test_of_writers_at_once_one_wins(pointer: Pointer) -> None:
    seen = pointer.move(None, "start")
    won: list[str] = []

    def write(name: str) -> None:
        try:
            pointer.move(seen, name)
        except MovedPointerError:
            return
        won.append(name)

    threads = [threading.Thread(target=write, args=(f"writer {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = pointer.read()
    assert now is not None
    assert won == [now.text]
