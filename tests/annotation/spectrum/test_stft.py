"""The short-time transform against scipy's, and its inverse against the signal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT

from annotation.spectrum.stft import StftConfig, inverse_stft, overlap_add, stft, stft_config


@given(st.integers(1, 700), st.sampled_from([(64, 16), (64, 32), (50, 20), (128, 24)]))
def test_the_inverse_gives_the_signal_back(num_samples: int, sizes: tuple[int, int]) -> None:
    config = StftConfig(*sizes)
    signal = np.random.default_rng(num_samples).normal(size=num_samples).astype(np.float32)
    again = inverse_stft(stft(signal, config), config, num_samples)
    np.testing.assert_allclose(again, signal, atol=1e-4)


def test_the_spectrum_is_that_of_scipy() -> None:
    config = StftConfig(window_samples=128, hop_samples=32)
    signal = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)
    theirs = ShortTimeFFT(window, hop=32, fs=1, phase_shift=None).stft(signal, p0=0, p1=config.num_frames(1000))
    np.testing.assert_allclose(stft(signal, config), theirs.T, atol=1e-4)


def test_overlapping_frames_are_added_where_they_lie() -> None:
    frames = np.arange(10, dtype=np.float32).reshape(2, 5)
    expected = np.zeros(8)
    for start, frame in zip((0, 3), frames, strict=True):
        expected[start : start + 5] += frame
    np.testing.assert_array_equal(overlap_add(frames, 3)[:8], expected)


def test_windows_come_out_about_as_long_as_asked() -> None:
    config = stft_config(44_100, window_s=0.096, hop_s=0.016)
    assert config.window_samples == pytest.approx(0.096 * 44_100, rel=0.03)
    assert config.hop_samples == round(0.016 * 44_100)


def test_a_hop_that_no_inverse_could_mend_is_refused() -> None:
    with pytest.raises(ValueError, match="hop of 40 samples with a window of 64"):
        StftConfig(64, 40)
