"""BSS Eval's ratio: what it forgives, what it does not, and silence."""

import numpy as np
import pytest

from annotation.quality.bss_eval import can_measure, median_sdr_db

pytestmark = pytest.mark.skipif(not can_measure(), reason="museval is not installed")
RATE = 8000


def noise(seed: int, length: int = 3 * RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


def test_noise_of_a_tenth_costs_twenty_decibels_and_a_filter_what_it_changes() -> None:
    vocal, rest, hiss = noise(1), noise(2), 0.1 * noise(3)
    found = median_sdr_db([vocal, rest], [vocal + hiss, rest], RATE)
    assert found[0] == pytest.approx(20, abs=0.5)
    assert found[1] is not None
    assert found[1] > 60
    filtered = np.convolve(vocal, [0.5, 0.2, 0.1])[: vocal.size].astype(np.float32)
    (coloured, _) = median_sdr_db([vocal, rest], [filtered, rest], RATE)
    assert coloured == pytest.approx(10 * np.log10(np.square(vocal).sum() / np.square(vocal - filtered).sum()), abs=0.5)


def test_leakage_counts() -> None:
    vocal, rest = noise(1), noise(2)
    leaky = [vocal + 0.5 * rest, rest + 0.5 * vocal]
    assert median_sdr_db([vocal, rest], leaky, RATE) == pytest.approx([6, 6], abs=0.5)


def test_the_median_is_over_seconds_and_a_silent_truth_has_none() -> None:
    vocal, rest = noise(1), noise(2)
    hiss = noise(3)
    hiss[RATE:] *= 0.01
    (found, _) = median_sdr_db([vocal, rest], [vocal + hiss, rest], RATE)
    assert found == pytest.approx(40, abs=1)
    assert median_sdr_db([np.zeros_like(vocal), rest], [hiss, rest], RATE) == [None, None]


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sources of \[23999, 24000\] samples"):
        median_sdr_db([noise(1)], [noise(1)[:-1]], RATE)
