"""A worker's reader decodes what was listed, nothing else, and keeps only as much as it may."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levo.song.waveform import Waveform, mono_waveform
from pipelines.corpus.audio import AudioReader, mono_at
from pipelines.corpus.decode import AudioError, AudioLimits
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.flow.objects import ObjectStore

RATE = 16000
NUM_BYTES = 2 * RATE * 4


def listed(folder: Path, name: str, level: float) -> AudioReference:
    path = folder / name
    soundfile.write(path, np.full(2 * RATE, level), RATE)
    content = path.read_bytes()
    return AudioReference(AudioPlace.SOURCE, name, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def reader(tmp_path: Path) -> AudioReader:
    return AudioReader(FolderRoot(tmp_path), tmp_path / "objects", AudioLimits(), kept_bytes=2 * NUM_BYTES)


def test_the_last_songs_stay_decoded(reader: AudioReader, tmp_path: Path) -> None:
    songs = [listed(tmp_path, f"{number}.flac", number / 10) for number in range(3)]
    first, second, third = (reader.read(song) for song in songs)
    assert reader.read(songs[1]) is second
    assert reader.read(songs[2]) is third
    again = reader.read(songs[0])
    assert again is not first
    assert np.array_equal(again.samples, first.samples)


def test_a_file_that_changed_or_went_away_is_not_read(reader: AudioReader, tmp_path: Path) -> None:
    song = listed(tmp_path, "song.flac", 0.5)
    listed(tmp_path, "song.flac", 0.25)
    with pytest.raises(AudioError, match=r"changed: song\.flac changed after it was listed"):
        reader.read(song)
    (tmp_path / "song.flac").unlink()
    with pytest.raises(AudioError, match=r"missing: song\.flac is no longer there"):
        reader.read(song)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    reader = AudioReader(FolderRoot(tmp_path), tmp_path, AudioLimits(max_file_bytes=1000))
    song = replace(listed(tmp_path, "song.flac", 0.5), num_bytes=1001)
    with pytest.raises(AudioError, match="too large: 1001 bytes; expected at most 1000"):
        reader.read(song)


def test_sound_that_was_just_stored_reads_as_it_will_later(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, (1, 2 * RATE)).astype(np.float32)
    store = ObjectStore(tmp_path / "objects")
    reader = AudioReader(FolderRoot(tmp_path), store.folder, AudioLimits())
    reference = reader.store(Waveform(noise, RATE), store)
    later = AudioReader(FolderRoot(tmp_path), store.folder, AudioLimits()).read(reference)
    assert np.array_equal(reader.read(reference).samples, later.samples)
    assert reader.read(reference).sample_rate_hz == later.sample_rate_hz


def test_another_rate_keeps_a_tone_and_its_length() -> None:
    time_s = np.arange(44100 * 2) / 44100
    tone = np.stack([np.sin(2 * np.pi * 440 * time_s), np.zeros_like(time_s)]).astype(np.float32)
    resampled = mono_at(Waveform(tone, 44100), RATE)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert resampled.samples.shape == (1, 2 * RATE)
    middle = slice(1000, -1000)
    assert np.abs(resampled.samples[0, middle] - expected[middle]).max() < 1e-3
    same = mono_waveform(np.array([0.1, -0.2], dtype=np.float32), RATE)
    assert np.array_equal(mono_at(same, RATE).samples, same.samples)
