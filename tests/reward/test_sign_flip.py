"""The randomisation test: exact by hand for few pairs, honest for many, and never smaller than few pairs allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward.sign_flip import sign_flip_p_value


def test_three_pairs_by_hand() -> None:
    # Sums of +-1 +-2 +-3: 6, 4, 2, 0, 0, -2, -4, -6; seen 1 + 2 - 3 = 0 is reached by five of eight.
    assert sign_flip_p_value(np.array([1.0, 2.0, -3.0]), seed=0) == 5 / 8
    assert sign_flip_p_value(np.array([1.0, 2.0, 3.0]), seed=0) == 1 / 8


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=12))
def test_all_of_one_sign_is_as_unlikely_as_so_many_coins(gains: list[float]) -> None:
    assert sign_flip_p_value(np.array(gains), seed=0) == pytest.approx(0.5 ** len(gains))


def test_no_difference_is_no_evidence() -> None:
    assert sign_flip_p_value(np.zeros(5), seed=0) == 1.0
    assert sign_flip_p_value(np.zeros(50), seed=0) == 1.0


def test_without_a_difference_small_values_are_as_rare_as_they_say() -> None:
    generator = np.random.default_rng(0)
    values = [sign_flip_p_value(generator.normal(0, 1, 24), seed=1, num_draws=2000) for _ in range(600)]
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_a_real_difference_is_found() -> None:
    assert sign_flip_p_value(np.random.default_rng(0).normal(0.8, 1, 48), seed=0) < 0.001


@pytest.mark.parametrize("wrong", [np.array([]), np.array([1.0, np.nan])])
def test_what_is_no_difference_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected one or more finite numbers"):
        sign_flip_p_value(wrong, seed=0)
