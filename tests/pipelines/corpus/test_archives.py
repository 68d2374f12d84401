"""Archives count as folders; what is no recording, too deep or too large is refused without filling disk or memory."""

import bz2
import gzip
import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines.corpus.archives import ArchiveLimits, ArchiveMember, unpack
from pipelines.corpus.audio import AudioReader
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.listing import Listing, list_songs
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.roots.protocol import PathError
from pipelines.flow.objects import ObjectStore

RATE = 16000
Files = dict[str, bytes]


def tone(level: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(2 * RATE, level), RATE, format="FLAC")
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PACKERS: dict[str, Callable[[Files], bytes]] = {
    "songs.zip": zipped,
    "songs.tar": tarred,
    "songs.tar.gz": lambda files: gzip.compress(tarred(files)),
    "songs.tar.bz2": lambda files: bz2.compress(tarred(files)),
}


def listed(folder: Path, limits: ArchiveLimits | None = None) -> Listing:
    beside = folder.parent if folder.is_dir() else folder.parent.parent
    listing = list_songs(recordings_of(folder), beside / "stamps", ObjectStore(beside / "objects"), limits)
    return Listing(tuple(listing.songs), listing.refusals)


def unpacked(content: bytes, tmp_path: Path, limits: ArchiveLimits | None = None) -> dict[str, ArchiveMember]:
    members = unpack(io.BytesIO(content), ObjectStore(tmp_path / "objects"), limits or ArchiveLimits())
    return {member.path: member for member in members}


@pytest.mark.parametrize("name", PACKERS)
def test_recordings_in_an_archive_are_songs(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    inner = zipped({"three.flac": tone(0.3)})
    files = {"a/one.flac": tone(0.1), "two.FLAC": tone(0.2), "notes.txt": b"no song", "more.zip": inner}
    (folder / "deep" / name).write_bytes(PACKERS[name](files))
    (folder / "four.flac").write_bytes(tone(0.4))
    listing = listed(folder)
    base = f"deep/{name}"
    assert not listing.refusals
    assert {song.song_id for song in listing.songs} == {
        f"{base}/a/one.flac",
        f"{base}/two.FLAC",
        f"{base}/more.zip/three.flac",
        "four.flac",
    }
    reader = AudioReader(FolderRoot(folder), tmp_path / "objects", AudioLimits())
    levels = {song.song_id.rpartition("/")[2]: float(reader.read(song.audio).samples[0, 5]) for song in listing.songs}
    assert levels == pytest.approx({"one.flac": 0.1, "two.FLAC": 0.2, "three.flac": 0.3, "four.flac": 0.4}, abs=1e-4)
    again = listed(folder)
    assert again == listing


def test_an_archive_is_opened_again_only_where_it_changed_or_its_objects_went(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    archive = folder / "songs.zip"
    archive.write_bytes(zipped({"one.flac": tone(0.1)}))
    (song,) = listed(folder).songs
    stored = tmp_path / "objects" / song.audio.path
    before = stored.stat().st_mtime_ns
    assert listed(folder).songs == (song,)
    assert stored.stat().st_mtime_ns == before
    stored.unlink()
    assert listed(folder).songs == (song,)
    assert stored.is_file()
    archive.write_bytes(zipped({"one.flac": tone(0.1), "two.flac": tone(0.2)}))
    assert len(listed(folder).songs) == 2


def test_metadata_in_a_folder_or_an_archive_describe_what_lies_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "studio" / "sub").mkdir(parents=True)
    (folder / "studio" / "sub" / "one.flac").write_bytes(tone(0.1))
    (folder / "studio" / "unnamed.flac").write_bytes(tone(0.2))
    rows = [
        {"song_id": "one", "audio": "sub/one.flac", "tags": ["calm"]},
        {"song_id": "two", "audio": "../live.zip/two.flac"},
        {"song_id": "outside", "audio": "../../one.flac"},
    ]
    (folder / "studio" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    packed = b'{"song_id": "three", "audio": "x/three.flac"}\n{"song_id": "one", "audio": "x/three.flac"}\n'
    (folder / "live.zip").write_bytes(
        zipped({"two.flac": tone(0.3), "set/metadata.jsonl": packed, "set/x/three.flac": tone(0.4)})
    )
    listing = listed(folder)
    assert {song.song_id for song in listing.songs} == {"one", "two", "three", "live.zip/two.flac"}
    assert {refusal.reason for refusal in listing.refusals} == {"path outside the folder", "repeated song_id"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_manifest_names_its_songs(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.flac").write_bytes(tone(0.1))
    (folder / "songs.zip").write_bytes(zipped({"two.flac": tone(0.2)}))
    rows: list[dict[str, object]] = [
        {"song_id": "one", "audio": "one.flac", "tags": ["calm"], "licence": "CC0"},
        {"song_id": "two", "audio": "songs.zip/two.flac", "tags": None, "licence": None},
        {"song_id": "gone", "audio": "songs.zip/three.flac", "tags": None, "licence": None},
        {"song_id": "out", "audio": "../one.flac", "tags": None, "licence": None},
        {"song_id": "one", "audio": "one.flac", "tags": None, "licence": None},
    ]
    manifest = folder / f"songs.{kind}"
    if kind == "jsonl":
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), manifest)
    listing = listed(manifest)
    assert [(song.song_id, song.given_tags, song.licence) for song in listing.songs] == [
        ("one", ("calm",), "CC0"),
        ("two", None, None),
    ]
    where = "line" if kind == "jsonl" else "row"
    assert [(refusal.item_id, refusal.reason) for refusal in listing.refusals] == [
        ("gone", "missing"),
        ("out", "path outside the folder"),
        (f"one (songs.{kind}, {where} 5)", "repeated song_id"),
    ]


def test_a_manifest_that_is_no_table_is_refused_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "songs.parquet").write_bytes(b"PAR1 but nothing else")
    (refusal,) = listed(folder / "songs.parquet").refusals
    assert refusal.item_id == "songs.parquet"
    assert "no Parquet table" in refusal.detail
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl"):
        listed(folder / "gone.jsonl")


def test_what_an_archive_may_not_hold_is_refused_member_by_member(tmp_path: Path) -> None:
    buffer = io.BytesIO(tarred({"../up.flac": tone(0.1), "/root.flac": tone(0.1), "good.flac": tone(0.1)}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, kind in (
            ("link.flac", tarfile.SYMTYPE),
            ("hard.flac", tarfile.LNKTYPE),
            ("pipe.wav", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    found = unpacked(buffer.getvalue(), tmp_path)
    reasons = {path: member.reason for path, member in found.items()}
    assert reasons == {
        "'../up.flac'": "bad path in an archive",
        "'/root.flac'": "bad path in an archive",
        "good.flac": None,
        "link.flac": "link in an archive",
        "hard.flac": "link in an archive",
        "pipe.wav": "link in an archive",
    }


def nested(depth: int) -> bytes:
    content = zipped({"song.flac": tone(0.1)})
    for _ in range(depth):
        content = zipped({"inner.zip": content})
    return content


def many_members() -> bytes:
    return gzip.compress(tarred({f"{number}.flac": b"" for number in range(3000)}))


def overlapping() -> bytes:
    """A zip file whose list of members names the same megabytes of zeros again and again."""
    one = zipped({"a.flac": bytes(8 << 20)})
    start = one.rindex(b"PK\x01\x02")
    entry, end = one[start : one.rindex(b"PK\x05\x06")], bytearray(one[one.rindex(b"PK\x05\x06") :])
    count = 1000
    end[8:12] = count.to_bytes(2, "little") * 2
    end[12:16] = (len(entry) * count).to_bytes(4, "little")
    return one[:start] + entry * count + bytes(end)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a gigabyte of zeros": (lambda: zipped({"a.flac": bytes(1 << 30)}), "archive too large"),
    "zeros in gzip": (lambda: gzip.compress(tarred({"a.flac": bytes(1 << 28)})), "archive too large"),
    "zeros that are no song": (lambda: gzip.compress(tarred({"a.txt": bytes(1 << 28)})), "archive too large"),
    "zeros twice packed": (lambda: zipped({"in.zip": zipped({"a.flac": bytes(1 << 28)})}), "archive too large"),
    "overlapping members": (overlapping, "archive too large"),
    "many members": (many_members, "archive too large"),
    "no archive": (lambda: b"PK\x03\x04 and no more", "unreadable archive"),
    "cut short": (lambda: gzip.compress(tarred({"a.flac": tone(0.5)}))[:-60], "unreadable archive"),
    "text": (lambda: b"hello" * 1000, "unreadable archive"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_early_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    make, reason = BOMBS[name]
    content = make()
    tracemalloc.start()
    try:
        with pytest.raises(PathError) as error:
            unpacked(content, tmp_path, ArchiveLimits(max_members=2000))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.value.reason == reason
    assert peak_bytes < 32 << 20
    assert not list((tmp_path / "objects").rglob("*.partial"))


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    assert unpacked(nested(1), tmp_path)["inner.zip/song.flac"].audio is not None
    (member,) = unpacked(nested(40), tmp_path).values()
    assert (member.path, member.reason) == ("inner.zip/inner.zip", "archive too deep")


def test_a_member_larger_than_a_recording_may_be_is_refused_alone(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(1 << 20)
    found = unpacked(zipped({"large.wav": noise, "small.wav": noise[:1000]}), tmp_path, ArchiveLimits(1 << 16))
    assert found["large.wav"].reason == "too large"
    assert found["small.wav"].audio is not None


def test_a_zip_file_with_a_password_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.flac": tone(0.1)}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    with pytest.raises(PathError, match=r"unreadable archive: the archive: .*encrypted"):
        unpacked(bytes(content), tmp_path)
