"""Signal-to-distortion ratios against mir_eval, least squares and written-out arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mir_eval.separation import bss_eval_images

from annotation.quality.stems import scale_invariant_sdr_db, signal_to_distortion_ratio_db
from levo.song.arrays import Array


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore:mir_eval.separation.bss_eval_images")
def test_the_plain_ratio_is_that_of_bss_eval_on_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(2, 3000))
    estimate = 0.7 * reference + rng.normal(size=(2, 3000)) * 0.3
    theirs = bss_eval_images(reference, estimate, compute_permutation=False)[0]
    ours = [signal_to_distortion_ratio_db(*pair) for pair in zip(reference, estimate, strict=True)]
    assert ours == pytest.approx(list(theirs), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_scale_invariant_ratio_is_that_after_a_least_squares_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=3000)
    estimate = 0.7 * reference + rng.normal(size=3000) * 0.3
    scale = np.linalg.lstsq(reference[:, None], estimate, rcond=None)[0][0]
    fitted = signal_to_distortion_ratio_db(scale * reference, estimate)
    assert scale_invariant_sdr_db(reference, estimate) == pytest.approx(fitted)


def test_the_ratios_are_the_arithmetic_written_out() -> None:
    reference, estimate = np.array([3.0, 4.0]), np.array([3.0, 3.0])
    assert signal_to_distortion_ratio_db(reference, estimate) == pytest.approx(10 * np.log10(25 / 1))
    scale = (9 + 12) / 25
    distortion = (scale * 3 - 3) ** 2 + (scale * 4 - 3) ** 2
    assert scale_invariant_sdr_db(reference, estimate) == pytest.approx(10 * np.log10(scale**2 * 25 / distortion))


@given(st.floats(0.01, 100), st.integers(0, 100))
def test_scaling_the_estimate_leaves_the_scale_invariant_ratio_alone(gain: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=100)
    estimate = reference + rng.normal(size=100)
    scaled = scale_invariant_sdr_db(reference, gain * estimate)
    assert scaled == pytest.approx(scale_invariant_sdr_db(reference, estimate), abs=1e-6)


@pytest.mark.parametrize("signal", [np.zeros(0), np.zeros(5), np.ones((2, 3))])
def test_an_estimate_equal_to_its_reference_is_perfect_even_where_it_is_empty_or_silent(signal: Array) -> None:
    assert signal_to_distortion_ratio_db(signal, signal) == float("inf")
    assert scale_invariant_sdr_db(signal, signal) == float("inf")


def test_sound_where_the_reference_is_silent_is_all_distortion() -> None:
    assert signal_to_distortion_ratio_db(np.zeros(3), np.ones(3)) == float("-inf")
    assert scale_invariant_sdr_db(np.zeros(3), np.ones(3)) == float("-inf")


def test_an_estimate_of_another_length_is_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(3,\); expected the reference's \(4,\)"):
        signal_to_distortion_ratio_db(np.zeros(4), np.zeros(3))
