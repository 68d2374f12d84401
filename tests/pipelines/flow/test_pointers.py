"""Pointers in a folder and in a bucket: of writers that saw the same, exactly one moves it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.flow.pointers import BucketPointer, FilePointer, MovedPointerError, Pointer
from tests.pipelines.corpus.s3_server import S3Server

pytest.importorskip("obstore", reason="the extra `bucket` is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    found = S3Server(tmp_path_factory.mktemp("s3") / "log")
    found.start()
    yield found
    found.stop()


@pytest.fixture(params=["file", "bucket"])
def pointer(
    request: pytest.FixtureRequest, tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Pointer:
    if request.param == "file":
        return FilePointer(tmp_path / "deep" / "CURRENT")
    for name, value in {**server.environment, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    bucket = f"pointers-{abs(hash(tmp_path)) % 10**9}"
    server.client().create_bucket(Bucket=bucket)
    return BucketPointer(f"s3://{bucket}/deep/CURRENT")


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


def test_the_test_server_itself_honours_if_match(server: S3Server) -> None:
    client = server.client()
    client.create_bucket(Bucket="conditions")
    tag = client.put_object(Bucket="conditions", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="conditions", Key="k", Body=b"2", IfNoneMatch="*")
    client.put_object(Bucket="conditions", Key="k", Body=b"2", IfMatch=tag)
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="conditions", Key="k", Body=b"3", IfMatch=tag)
    assert client.get_object(Bucket="conditions", Key="k")["Body"].read() == b"2"
