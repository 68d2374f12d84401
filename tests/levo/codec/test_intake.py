"""Audio of any rate and any number of channels becomes one channel at one rate, or is refused with its reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.codec.intake import fitted_to, mono_at_rate, num_frames_of
from levo.song.waveform import Waveform


def _tone(sample_rate_hz: int, duration_s: float = 1.0, channels: int = 1) -> Waveform:
    times_s = np.arange(round(sample_rate_hz * duration_s)) / sample_rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 440 * times_s)
    return Waveform(np.tile(tone, (channels, 1)).astype(np.float32), sample_rate_hz)


@pytest.mark.parametrize("sample_rate_hz", [8000, 22050, 44100, 48000])
def test_a_tone_is_the_same_tone_at_another_rate(sample_rate_hz: int) -> None:
    taken = mono_at_rate(_tone(sample_rate_hz, channels=2), 16000)
    assert abs(taken.shape[0] - 16000) <= 1
    inner = slice(2000, 14000)
    np.testing.assert_allclose(taken[inner], _tone(16000).mono[inner], atol=2e-3)


def test_channels_are_averaged() -> None:
    samples = np.array([[0.5, 0.1], [-0.5, 0.3]], dtype=np.float32)
    taken = mono_at_rate(Waveform(samples, 16000), 16000)
    np.testing.assert_allclose(taken, [0.0, 0.2], atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 0), (0, 10)])
def test_sound_without_samples_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="vocal has shape"):
        mono_at_rate(Waveform(np.zeros(shape, np.float32), 16000), 16000, "vocal")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_sound_that_is_not_finite_is_refused_with_a_count(bad: float) -> None:
    samples = np.zeros((2, 50), np.float32)
    samples[0, 3] = samples[1, 7] = bad
    with pytest.raises(ValueError, match="mixture: 2 of 100 samples are not finite"):
        mono_at_rate(Waveform(samples, 44100), 16000, "mixture")


@given(num_samples=st.integers(1, 10_000), sample_rate_hz=st.sampled_from([8000, 16000, 44100]))
def test_a_begun_frame_counts(num_samples: int, sample_rate_hz: int) -> None:
    num_frames = num_frames_of(Waveform(np.zeros((1, num_samples), np.float32), sample_rate_hz), 25)
    assert (num_frames - 1) * sample_rate_hz < num_samples * 25 <= num_frames * sample_rate_hz


def test_fitting_cuts_or_fills_the_end() -> None:
    samples = np.array([1, 2, 3], dtype=np.float32)
    np.testing.assert_array_equal(fitted_to(samples, 2), [1, 2])
    np.testing.assert_array_equal(fitted_to(samples, 5), [1, 2, 3, 0, 0])
