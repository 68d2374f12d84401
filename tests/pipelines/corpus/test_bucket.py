"""Recordings in a bucket: listed and read as from a folder, also through a store that is away for a while."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.corpus.audio import AudioReader
from pipelines.corpus.decode import AudioError, AudioLimits
from pipelines.corpus.listing import list_songs
from pipelines.corpus.roots.bucket import BucketRoot
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.roots.protocol import PathError
from pipelines.flow.objects import ObjectStore
from tests.pipelines.corpus.s3_server import S3Server
from tests.pipelines.corpus.test_archives import tone

RATE = 16000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in S3Server.environment.items():
        monkeypatch.setenv(name, value)
    server = S3Server(tmp_path / "s3.log")
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    client = server.client()
    client.create_bucket(Bucket="songs")
    for name, content in {
        "set/one.flac": tone(0.1),
        "set/deep/two.flac": tone(0.2),
        "set/.hidden.flac": tone(0.2),
        "set/notes.txt": b"no song",
        "other/three.flac": tone(0.3),
        "set/list.jsonl": b'{"song_id": "two", "audio": "deep/two.flac"}\n'
        b'{"song_id": "out", "audio": "../other/three.flac"}\n',
    }.items():
        client.put_object(Bucket="songs", Key=name, Body=content)
    yield server
    server.stop()


def test_a_bucket_is_listed_and_read_below_its_prefix(server: S3Server, tmp_path: Path) -> None:
    recordings = recordings_of("s3://songs/set/")
    listing = list_songs(recordings, tmp_path / "all", ObjectStore(tmp_path / "objects"))
    assert [song.song_id for song in listing.songs] == ["deep/two.flac", "one.flac"]
    reader = AudioReader(recordings.root, tmp_path / "objects", AudioLimits())
    assert [round(float(reader.read(song.audio).samples[0, 9]), 3) for song in listing.songs] == [0.2, 0.1]
    named = list_songs(
        recordings_of("s3://songs/set/list.jsonl"), tmp_path / "named", ObjectStore(tmp_path / "objects")
    )
    assert [song.song_id for song in named.songs] == ["two"]
    assert [(refusal.item_id, refusal.reason) for refusal in named.refusals] == [("out", "path outside the bucket")]
    server.client().put_object(Bucket="songs", Key="set/one.flac", Body=tone(0.4))
    with pytest.raises(AudioError, match="changed"):
        AudioReader(recordings.root, tmp_path / "objects", AudioLimits()).read(listing.songs[1].audio)


def test_an_object_is_read_in_ranges(server: S3Server) -> None:
    root = BucketRoot("s3://songs/set")
    content = tone(0.1)
    with root.open("one.flac") as file:
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]
        assert file.read() == b""
        file.seek(4)
        assert file.read(8) == content[4:12]
        assert file.tell() == 12
    with pytest.raises(PathError, match=r"missing: 'gone.flac' is no object in s3://songs/set"):
        root.open("gone.flac")
    with pytest.raises(FileNotFoundError, match="there is no s3://nowhere"):
        list(BucketRoot("s3://nowhere").files())


def test_a_store_that_is_away_for_a_while_is_waited_for(server: S3Server) -> None:
    root = BucketRoot("s3://songs/set", patience_s=60)
    content = server.client().get_object(Bucket="songs", Key="set/one.flac")["Body"].read()
    root.state("one.flac")
    server.pause()
    back = threading.Timer(3.0, server.go_on)
    back.start()
    started = time.monotonic()
    with root.open("one.flac") as file:
        assert file.read() == content
    back.join()
    assert time.monotonic() - started > 2.5


def test_a_store_that_stays_away_ends_the_reading_with_advice(server: S3Server) -> None:
    root = BucketRoot("s3://songs/set", patience_s=1)
    root.state("one.flac")
    server.stop()
    with root.open("one.flac") as file, pytest.raises(OSError, match=r"has not answered for .* s; run the same again"):
        file.read()


def test_the_local_store_honours_conditional_writes(server: S3Server) -> None:
    """What the pointer of a snapshot in a bucket would rest on: a test of the test's own server."""

    client = server.client()
    etag = client.put_object(Bucket="songs", Key="CURRENT", Body=b"a", IfNoneMatch="*")["ETag"]
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="songs", Key="CURRENT", Body=b"b", IfNoneMatch="*")
    client.put_object(Bucket="songs", Key="CURRENT", Body=b"c", IfMatch=etag)
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="songs", Key="CURRENT", Body=b"d", IfMatch=etag)
    assert client.get_object(Bucket="songs", Key="CURRENT")["Body"].read() == b"c"


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "gs://songs"])
def test_a_name_that_is_no_bucket_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="is no bucket; expected s3://BUCKET"):
        BucketRoot(uri)
