"""Drift of a reward: in the direction that is better, in the spread of the nights, never finer than the noise."""

import pytest

from levo.song.scores import Metric
from pipelines.observability.drift import reward_drift

HIGHER = Metric("musicality", "higher", "points", "training")
LOWER = Metric("phoneme_error_rate", "lower", "errors per phoneme", "training")


def test_a_night_three_deviations_below_the_usual_one_is_minus_three() -> None:
    # Nights 1, 2, 3, 4, 5: the median is 3, the median absolute deviation 1, so a deviation is 1.4826.
    assert reward_drift(HIGHER, 3 - 3 * 1.4826, (1, 2, 3, 4, 5), noise=0.1) == pytest.approx(-3)


def test_fewer_errors_are_a_gain() -> None:
    assert reward_drift(LOWER, 0.1, (0.2, 0.2, 0.2), noise=0.05) == pytest.approx(2)


def test_nights_that_are_all_the_same_do_not_make_noise_a_collapse() -> None:
    assert reward_drift(HIGHER, 0.49, (0.5, 0.5, 0.5), noise=0.02) == pytest.approx(-0.5)


def test_two_nights_are_not_yet_usual() -> None:
    assert reward_drift(HIGHER, 0.1, (0.5, 0.5), noise=0.02) is None


def test_a_noise_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="noise of musicality is 0; expected more than 0"):
        reward_drift(HIGHER, 0.1, (0.5, 0.5, 0.5), noise=0)
