"""The separation sample: which songs it takes, and what it takes away from them."""

import json
from pathlib import Path

import pytest

from pipelines.loop.separation_sample import write_separation_sample


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    (folder / "audio").mkdir(parents=True)
    rows = []
    for place in range(12):
        name = f"song-{place}"
        (folder / "audio" / f"{name}.flac").write_bytes(name.encode())
        rows.append(
            {"song_id": name, "audio": f"audio/{name}.flac", "stems": {}, "lyrics": "[verse] a.", "tags": ["x"]}
        )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def metadata(folder: Path) -> dict[str, dict[str, object]]:
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    return {row["song_id"]: row for row in map(json.loads, lines)}


def test_long_songs_come_first_and_labels_and_stems_are_gone(songs: Path, tmp_path: Path) -> None:
    out = tmp_path / "sample"
    assert write_separation_sample(songs, frozenset({"song-3", "song-7"}), 5, out) == 5
    rows = metadata(out)
    assert {"song-3", "song-7"} <= rows.keys()
    assert all(row.keys() == {"song_id", "audio"} for row in rows.values())
    for name, row in rows.items():
        assert (out / str(row["audio"])).read_bytes() == name.encode()


def test_a_larger_sample_holds_the_smaller_one(songs: Path, tmp_path: Path) -> None:
    write_separation_sample(songs, frozenset(), 4, tmp_path / "small")
    write_separation_sample(songs, frozenset(), 8, tmp_path / "large")
    assert metadata(tmp_path / "small").keys() < metadata(tmp_path / "large").keys()


def test_too_small_a_corpus_is_refused_with_both_numbers(songs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds 12 songs; the sample needs 13"):
        write_separation_sample(songs, frozenset(), 13, tmp_path / "sample")
