"""Windows, spectra and overlap-add against slow twins and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.codec.spectrum import hann_window, log_mel, mel_filters, overlap_add, power_spectrogram, windows_of


@given(num_samples=st.integers(1, 300), hop=st.integers(1, 40), more=st.integers(0, 30))
def test_each_window_is_the_stretch_around_its_hop(num_samples: int, hop: int, more: int) -> None:
    samples = np.random.default_rng(num_samples).standard_normal(num_samples).astype(np.float32)
    length = hop + more
    windows = windows_of(samples, length, hop)
    assert windows.shape == (-(-num_samples // hop), length)
    for index, window in enumerate(windows):
        start = index * hop - (length - hop) // 2
        expected = [samples[at] if 0 <= at < num_samples else 0.0 for at in range(start, start + length)]
        np.testing.assert_array_equal(window, np.array(expected, dtype=np.float32))


@given(num_hops=st.integers(1, 12), length=st.integers(1, 50), hop=st.integers(1, 20))
def test_overlap_add_is_the_sum_of_shifted_windows(num_hops: int, length: int, hop: int) -> None:
    windows = np.random.default_rng(length).standard_normal((num_hops, length)).astype(np.float32)
    expected = np.zeros((num_hops - 1) * hop + length)
    for index, window in enumerate(windows):
        expected[index * hop : index * hop + length] += window
    np.testing.assert_allclose(overlap_add(windows, hop), expected, atol=1e-5)


def test_white_noise_of_unit_variance_has_unit_power_in_every_bin() -> None:
    noise = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    power = power_spectrogram(noise, 480, 160, 512).mean(axis=0)
    np.testing.assert_allclose(power[1:-1], 1, atol=0.15)
    assert power.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("overlap", [2, 3, 4])
def test_shifted_hann_windows_add_up_to_half_their_overlap(overlap: int) -> None:
    hop = 40
    total = overlap_add(np.tile(hann_window(overlap * hop), (20, 1)), hop)
    np.testing.assert_allclose(total[overlap * hop : -overlap * hop], overlap / 2, atol=1e-6)


def test_every_mel_band_averages_and_peaks_between_its_neighbours() -> None:
    filters = mel_filters(40, 1024, 16000)
    np.testing.assert_allclose(filters.sum(axis=0), 1, rtol=1e-5)
    peaks = filters.argmax(axis=0)
    assert (np.diff(peaks) > 0).all()
    np.testing.assert_allclose(log_mel(np.full((3, 513), 2.0, np.float32), filters), np.log(2), rtol=1e-5)
