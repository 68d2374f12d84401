"""The embedded separator: sums, gains in decibels, shapes, and what it refuses."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation.quality.stems import signal_to_distortion_ratio_db
from annotation.separation.embedded import EmbeddedSeparator
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform

_RECORDINGS = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize("seed", range(3))
def test_both_stems_gain_three_decibels_and_add_up_to_the_mixture(
    seed: int, make_song: Callable[..., LabelledSong]
) -> None:
    song = make_song(seed)
    stems = EmbeddedSeparator().separate(song.mixture)
    np.testing.assert_array_equal(stems.vocal.samples + stems.accompaniment.samples, song.mixture.samples)
    np.testing.assert_array_equal(stems.mixture.samples, song.mixture.samples)
    for truth, estimate in ((song.vocal, stems.vocal), (song.accompaniment, stems.accompaniment)):
        before = signal_to_distortion_ratio_db(truth.mono, song.mixture.mono)
        assert signal_to_distortion_ratio_db(truth.mono, estimate.mono) > before + 3


@pytest.mark.parametrize("num_samples", [1600, 9_999, 40_000])
def test_rate_channels_and_length_stay_and_the_sum_is_exact_for_any_float(num_samples: int) -> None:
    rng = np.random.default_rng(num_samples)
    mixture = Waveform((0.3 * rng.normal(size=(2, num_samples))).astype(np.float32), 16_000)
    stems = EmbeddedSeparator().separate(mixture)
    assert stems.vocal.samples.shape == stems.accompaniment.samples.shape == (2, num_samples)
    assert stems.vocal.sample_rate_hz == 16_000
    np.testing.assert_array_equal(stems.vocal.samples + stems.accompaniment.samples, stems.mixture.samples)
    np.testing.assert_allclose(stems.mixture.samples, mixture.samples, atol=2e-7)


def test_a_long_song_is_worked_through_in_pieces_without_seams(make_song: Callable[..., LabelledSong]) -> None:
    song = make_song(4)
    whole = EmbeddedSeparator().separate(song.mixture)
    pieces = EmbeddedSeparator(piece_s=2.0, overlap_s=0.5).separate(song.mixture)
    np.testing.assert_array_equal(pieces.mixture.samples, song.mixture.samples)
    steps = np.abs(np.diff(pieces.vocal.mono))
    assert steps.max() < 2 * np.abs(np.diff(whole.vocal.mono)).max()
    assert signal_to_distortion_ratio_db(song.vocal.mono, pieces.vocal.mono) > 2


def test_silence_gives_silent_stems() -> None:
    stems = EmbeddedSeparator().separate(mono_waveform(np.zeros(16_000, np.float32), 16_000))
    assert not stems.vocal.samples.any()
    assert not stems.accompaniment.samples.any()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((1, 0), np.float32), r"mixture has shape \(1, 0\)"),
        (np.zeros((0, 9), np.float32), r"mixture has shape \(0, 9\)"),
        (np.zeros((1, 100), np.float32), r"mixture lasts 0.0063 s; expected at least 0.096 s"),
        (np.array([[0.1] * 5000 + [np.nan]], np.float32), "mixture is nan at channel 0, sample 5000"),
        (np.array([[np.inf] * 5000], np.float32), "mixture is inf at channel 0, sample 0"),
    ],
)
def test_a_mixture_without_usable_sound_is_refused(samples: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddedSeparator().separate(Waveform(samples, 16_000))


def test_the_digest_names_the_parameters() -> None:
    separator = EmbeddedSeparator()
    assert separator.digest == EmbeddedSeparator().digest
    assert separator.digest != dataclasses.replace(separator, hop_s=0.02).digest


def test_a_real_recording_splits_into_two_sounding_stems() -> None:
    path = _RECORDINGS / "spleeter_example.mp3"
    if not path.exists():
        pytest.skip(f"no real recording at {path}")
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    stems = EmbeddedSeparator().separate(Waveform(np.ascontiguousarray(samples.T), rate))
    levels = [float(np.sqrt(np.mean(stem.samples**2))) for stem in (stems.vocal, stems.accompaniment)]
    assert min(levels) > 0.05
