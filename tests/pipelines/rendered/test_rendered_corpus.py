"""The corpus on disk: files as a user would have them, faults only where the truth says, and the same bytes always."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from levo.song.digest import digest_file
from levo.song.files import DiskError
from pipelines.rendered import corpus as corpus_module
from pipelines.rendered.catalogue import Collection, RenderedCorpusConfig, draw_corpus
from pipelines.rendered.corpus import METADATA_FILE, TRUTH_FILE, ForeignCorpusError, write_corpus
from pipelines.rendered.noise import NoiseShares
from pipelines.rendered.song import pcm16, render_song
from pipelines.rendered.voice import Voice
from pipelines.rendered.world import WorldConfig

SmallDisk = Callable[[int], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def config(small_world: WorldConfig) -> RenderedCorpusConfig:
    return RenderedCorpusConfig(num_studio=6, num_wild=14, num_long=2, seed=3, world=small_world)


@pytest.fixture(scope="session")
def bank(voice: Voice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    voice.save(folder)
    return folder


@pytest.fixture(scope="session")
def written(config: RenderedCorpusConfig, bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    write_corpus(config, out, _ignore, bank_folder=bank, num_workers=1)
    return out


def _ignore(done: int, total: int) -> None:
    pass


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _metadata(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METADATA_FILE).read_text().splitlines()]


def _truth(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / TRUTH_FILE).to_pylist()
    return rows


def test_stems_on_disk_add_up_to_the_mixture(written: Path) -> None:
    for row in _metadata(written):
        mixture, rate_hz = soundfile.read(written / row["audio"], dtype="int16")
        vocal, accompaniment = (
            soundfile.read(written / row["stems"][stem], dtype="int16")[0] for stem in ("vocal", "accompaniment")
        )
        assert rate_hz == 16000
        np.testing.assert_array_equal(mixture, vocal + accompaniment)


def test_audio_is_the_rendering_of_the_plan_with_the_glitches_of_the_truth(
    written: Path, config: RenderedCorpusConfig, voice: Voice
) -> None:
    truth = {row["song_id"]: row for row in _truth(written)}
    num_glitched = 0
    for song in draw_corpus(config):
        clean = render_song(song.plan, voice)
        samples = soundfile.read(written / f"stems/{song.song_id}.accompaniment.flac", dtype="int16")[0]
        beat_samples = len(samples) // song.plan.num_beats
        spoilt = (samples != pcm16(clean.accompaniment)).reshape(-1, beat_samples).any(axis=1)
        assert set(np.flatnonzero(spoilt)) == {glitch["beat"] for glitch in truth[song.song_id]["glitches"]}
        num_glitched += bool(spoilt.any())
        vocal = soundfile.read(written / f"stems/{song.song_id}.vocal.flac", dtype="int16")[0]
        np.testing.assert_array_equal(vocal, pcm16(clean.vocal))
    assert num_glitched


def test_metadata_are_wrong_only_where_the_truth_says_and_the_truth_is_nowhere_in_them(written: Path) -> None:
    rows, truth = _metadata(written), _truth(written)
    assert [row["song_id"] for row in rows] == [row["song_id"] for row in truth]
    for row, true in zip(rows, truth, strict=True):
        plain = {"song_id", "audio", "stems", "collection", "singer", "licence"}
        assert set(row) == (plain if true["is_left_out"] else {*plain, "lyrics", "tags"})
        assert row["licence"] == "synthetic"
        assert row["collection"] == true["collection"]
        if not true["is_left_out"]:
            assert (row["lyrics"] != true["lyrics"]) == true["has_wrong_lyrics"]
            assert (row["tags"] != true["tags"]) == true["has_wrong_tags"]


def test_the_truth_holds_the_times_of_what_is_sung(written: Path) -> None:
    for row in _truth(written):
        assert row["words"][-1]["end_s"] <= row["num_frames"] / 25 + 1e-9
        assert len(row["phonemes"]) > len(row["words"])
        assert row["sections"][-1]["end_s"] == pytest.approx(row["num_frames"] / 25)
        assert row["tempo_bpm"] == 1500 / row["frames_per_beat"]
    assert sum(row["is_long"] and len(row["sections"]) >= 4 for row in _truth(written)) == 2


def test_faults_are_drawn_in_wild_songs_alone_independently_and_at_their_shares() -> None:
    songs = draw_corpus(RenderedCorpusConfig(num_studio=100, num_wild=1000, num_long=20))
    wild = [song for song in songs if song.collection is Collection.WILD and not song.is_left_out]
    faults = np.array(
        [
            [song.noise.wrong_lyrics is not None, song.noise.wrong_description is not None, bool(song.noise.glitches)]
            for song in wild
        ]
    )
    assert np.abs(faults.mean(axis=0) - 0.3).max() < 0.05
    assert np.abs(np.corrcoef(faults.T) - np.eye(3)).max() < 0.1
    assert abs(np.mean([song.is_left_out for song in songs]) - 0.2) < 0.04
    for song in songs:
        if song.collection is Collection.STUDIO:
            assert (song.noise.wrong_lyrics, song.noise.wrong_description) == (None, None)
            assert not song.noise.glitches
        if song.is_left_out:
            assert (song.noise.wrong_lyrics, song.noise.wrong_description) == (None, None)
        if song.noise.wrong_description:
            different = zip(song.noise.wrong_description.tags, song.plan.description.tags, strict=True)
            assert sum(wrong != true for wrong, true in different) >= 2
    long = [song for song in songs if song.is_long]
    assert [song.collection for song in long[:2]] == [Collection.STUDIO, Collection.WILD]


def test_several_workers_write_the_same_bytes_as_one(
    written: Path, config: RenderedCorpusConfig, bank: Path, tmp_path: Path
) -> None:
    write_corpus(config, tmp_path / "again", _ignore, bank_folder=bank, num_workers=2)
    assert _digests(tmp_path / "again") == _digests(written)


def test_a_second_call_renders_nothing_and_changes_nothing(
    written: Path, config: RenderedCorpusConfig, bank: Path
) -> None:
    before = _digests(written)
    again = write_corpus(config, written, _ignore, bank_folder=bank, num_workers=1)
    assert (again.num_songs, again.num_rendered) == (22, 0)
    assert _digests(written) == before


def test_a_run_killed_between_two_files_goes_on_to_the_same_bytes(
    written: Path,
    config: RenderedCorpusConfig,
    bank: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "killed"
    write_flac, num_written = corpus_module._write_flac, 0

    def die_in_the_fifth_song(*arguments: Any) -> None:
        nonlocal num_written
        num_written += 1
        if num_written == 14:
            raise KeyboardInterrupt
        write_flac(*arguments)

    monkeypatch.setattr(corpus_module, "_write_flac", die_in_the_fifth_song)
    with pytest.raises(KeyboardInterrupt):
        write_corpus(config, out, _ignore, bank_folder=bank, num_workers=1)
    assert not (out / METADATA_FILE).exists()
    (out / "audio" / ".studio-00004.flac.killed.partial").write_bytes(b"fLaC")
    (out / "audio" / "studio-00005.flac").write_bytes(b"")
    monkeypatch.undo()
    resumed = write_corpus(config, out, _ignore, bank_folder=bank, num_workers=1)
    assert resumed.num_rendered == 22 - 4
    assert _digests(out) == _digests(written)


def test_a_full_disk_names_the_song_leaves_no_half_written_file_and_the_next_call_goes_on(
    written: Path, config: RenderedCorpusConfig, bank: Path, tmp_path: Path, small_disk: SmallDisk
) -> None:
    out = tmp_path / "full"
    largest = max(path.stat().st_size for path in written.rglob("*.flac"))
    with small_disk(largest - 1), pytest.raises(DiskError, match=re.escape(f"cannot write {out}/")):
        write_corpus(config, out, _ignore, bank_folder=bank, num_workers=1)
    expected = _digests(written)
    assert _digests(out).items() < expected.items()
    resumed = write_corpus(config, out, _ignore, bank_folder=bank, num_workers=1)
    assert 0 < resumed.num_rendered < 22
    assert _digests(out) == expected


def test_a_folder_of_another_config_is_refused_and_left_alone(
    written: Path, small_world: WorldConfig, bank: Path
) -> None:
    before = _digests(written)
    other = RenderedCorpusConfig(num_studio=6, num_wild=14, num_long=2, seed=4, world=small_world)
    with pytest.raises(ForeignCorpusError, match="another config"):
        write_corpus(other, written, _ignore, bank_folder=bank)
    assert _digests(written) == before


def test_a_folder_with_files_of_somebody_else_is_refused(config: RenderedCorpusConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not lose me")
    with pytest.raises(ForeignCorpusError, match=r"render\.json"):
        write_corpus(config, tmp_path, _ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_progress_counts_up_to_the_number_of_songs(config: RenderedCorpusConfig, bank: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "counted"
    write_corpus(config, out, lambda done, total: seen.append((done, total)), bank_folder=bank, num_workers=1)
    assert seen[0] == (0, 22)
    assert seen[-1] == (22, 22)
    assert seen == sorted(seen)


def test_shares_and_counts_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"glitches is 1\.5"):
        NoiseShares(glitches=1.5)
    with pytest.raises(ValueError, match="num_wild is -1"):
        RenderedCorpusConfig(num_wild=-1)
    with pytest.raises(ValueError, match=r"left_out_share is -0\.1"):
        RenderedCorpusConfig(left_out_share=-0.1)
