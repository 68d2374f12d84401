"""A folder is listed safely: metadata are checked, paths stay inside, digests are computed once."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.lyrics import parse_lyrics
from pipelines.corpus.listing import Listing, list_songs
from pipelines.corpus.metadata import MetadataError, parse_metadata
from pipelines.corpus.records import SourceSong
from pipelines.corpus.roots.named import recordings_of
from pipelines.flow.objects import ObjectStore

ROW = {"song_id": "one", "audio": "one.flac"}


def write(folder: Path, rows: list[Any], files: tuple[str, ...] = ("one.flac",)) -> Path:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"sound of {name}".encode())
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def listed(folder: Path) -> Listing:
    listing = list_songs(recordings_of(folder), folder.parent / "stamps", ObjectStore(folder.parent / "objects"))
    return Listing(tuple(listing.songs), listing.refusals)


def only_reason(folder: Path) -> str:
    listing = listed(folder)
    assert listing.songs == ()
    (refusal,) = listing.refusals
    return f"{refusal.item_id}: {refusal.reason}: {refusal.detail}"


def test_a_song_carries_what_its_metadata_say(tmp_path: Path) -> None:
    row = ROW | {
        "stems": {"vocal": "stems/v.flac", "accompaniment": "stems/a.flac"},
        "collection": "studio",
        "singer": "low",
        "licence": "CC0",
        "source": "https://example.org/7",
        "consent": "singer, training, 2026-03-01",
        "lyrics": "[verse]  red moon.\nBlue sky. ;\n[inst-short]",
        "tags": ["Female ", "dark"],
    }
    (song,) = listed(write(tmp_path / "in", [row], ("one.flac", "stems/v.flac", "stems/a.flac"))).songs
    assert song.audio.sha256 == hashlib.sha256(b"sound of one.flac").hexdigest()
    assert song.true_stems is not None
    assert song.true_stems.accompaniment.path == "stems/a.flac"
    assert (song.collection, song.singer, song.licence) == ("studio", "low", "CC0")
    assert (song.source, song.consent) == ("https://example.org/7", "singer, training, 2026-03-01")
    assert song.given_lyrics == "[verse] red moon. Blue sky. ; [inst-short]"
    assert song.given_tags == ("female", "dark")


def test_what_metadata_leave_out_is_none(tmp_path: Path) -> None:
    (song,) = listed(write(tmp_path / "in", [ROW])).songs
    assert song == SourceSong(song_id="one", audio=song.audio)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "metadata.jsonl, line 1: bad metadata: no JSON"),
        ("[" * 100_000, "metadata.jsonl, line 1: bad metadata: no JSON"),
        ("[1]", "metadata.jsonl, line 1: bad metadata: list; expected a JSON object"),
        ({"audio": "one.flac"}, "metadata.jsonl, line 1: bad metadata: no song_id"),
        ({"song_id": "one"}, "one: bad metadata: no audio"),
        (ROW | {"audio": 3}, "one: bad metadata: audio is 3"),
        (ROW | {"audio": "a\u0000b"}, "one: bad metadata: audio is 'a\\x00b'"),
        (ROW | {"audio": "two.flac"}, "one: missing: 'two.flac' is no file"),
        (ROW | {"audio": "../secret"}, "one: path outside the folder: '../secret'"),
        (ROW | {"audio": "x/../../secret"}, "one: path outside the folder: 'x/../../secret'"),
        (ROW | {"audio": "/etc/hostname"}, "one: path outside the folder: '/etc/hostname'"),
        (ROW | {"audio": "."}, "one: path outside the folder: '.'"),
        (ROW | {"stems": {"vocal": "one.flac"}}, "one: bad metadata: stems are"),
        (ROW | {"tags": "dark"}, "one: bad tags: 'dark'"),
        (ROW | {"tags": ["dark", ""]}, "one: bad tags: ['dark', '']"),
        (ROW | {"lyrics": 5}, "one: bad lyrics: 5"),
        (ROW | {"lyrics": "[hook] la."}, "one: bad lyrics: lyrics, line 1, column 1: unknown structure tag '[hook]'"),
        (
            ROW | {"lyrics": "[verse] la. ;\n[inst-short] la."},
            "one: bad lyrics: lyrics, line 2, column 14: text 'la' in [inst-short], which is instrumental",
        ),
    ],
)
def test_a_bad_line_is_refused_with_what_is_wrong(tmp_path: Path, row: Any, problem: str) -> None:
    assert only_reason(write(tmp_path / "in", [row])).startswith(problem)


def test_a_repeated_song_is_refused_once(tmp_path: Path) -> None:
    listing = listed(write(tmp_path / "in", [ROW, ROW]))
    assert [song.song_id for song in listing.songs] == ["one"]
    assert [refusal.reason for refusal in listing.refusals] == ["repeated song_id"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", [ROW | {"audio": "link.flac"}, {"song_id": "two", "audio": "elsewhere/one.flac"}])
    (folder / "link.flac").symlink_to(folder / "one.flac")
    (folder / "elsewhere").symlink_to(tmp_path)
    assert [refusal.reason for refusal in listed(folder).refusals] == ["symbolic link", "symbolic link"]


def test_without_metadata_every_audio_file_is_a_song(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("b/two.MP3", "a one.wav", "notes.txt", ".hidden/three.wav", ".four.wav", "b/two.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "link.wav").symlink_to("a one.wav")
    (folder / os.fsdecode(b"\xff.wav")).write_bytes(b"x")
    listing = listed(folder)
    assert [song.song_id for song in listing.songs] == ["a one.wav", "b/two.MP3"]
    reasons = {refusal.item_id: refusal.reason for refusal in listing.refusals}
    assert reasons == {"link.wav": "symbolic link", "\\udcff.wav": "unprintable path"}


def test_a_digest_is_computed_again_only_where_size_or_time_changed(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", [ROW])
    first = listed(folder)
    path = folder / "one.flac"
    before = path.stat()
    path.write_bytes(b"SOUND OF one.flac")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert listed(folder) == first
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    (song,) = listed(folder).songs
    assert song.audio.sha256 == hashlib.sha256(b"SOUND OF one.flac").hexdigest()


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere is no folder"):
        listed(tmp_path / "nowhere")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["song_id", "audio", "stems", "lyrics", "tags", "collection", "singer", "licence", "consent"])


@given(st.dictionaries(FIELDS, JSON))
def test_any_json_is_a_song_or_a_metadata_error(extra: dict[str, Any]) -> None:
    with suppress(MetadataError):
        song = parse_metadata(json.dumps(ROW | extra).encode(), "here")
        assert song.audio.isprintable()
        assert song.lyrics is None or parse_lyrics(song.lyrics).text == song.lyrics


@given(st.binary(max_size=60))
def test_any_bytes_are_a_song_or_a_metadata_error(line: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_metadata(line, "here")
