"""The randomisation test: exact by hand for few pairs, honest for many, and never smaller than few pairs allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward.sign_flip import draws_for, least_p_value, sign_flip_p_value


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


@pytest.mark.parametrize("level", [1e-2, 1e-4, 1e-5])
def test_drawn_patterns_can_tell_the_level_that_they_are_drawn_for(level: float) -> None:
    num_draws = draws_for(level)
    assert sign_flip_p_value(np.ones(60), seed=0, num_draws=num_draws) == least_p_value(60, num_draws) < level / 10


def test_the_least_value_is_that_of_one_pattern() -> None:
    for number in (1, 6, 12):
        assert sign_flip_p_value(np.ones(number), seed=0) == least_p_value(number) == 0.5**number
    assert least_p_value(14, draws_for(1e-6)) == 0.5**14


def test_blocks_of_draws_are_what_one_draw_of_all_gives_within_chance() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, 20)
    few, many = (sign_flip_p_value(differences, seed=0, num_draws=number) for number in (30_000, 400_000))
    assert few == pytest.approx(many, rel=0.1)
    exact = sign_flip_p_value(differences[:12], seed=0)
    assert sign_flip_p_value(np.append(differences[:12], 0.0), seed=0, num_draws=400_000) == pytest.approx(
        exact, rel=0.05
    ), "a difference of nothing changes no share"


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="expected a probability"):
        draws_for(level)


@pytest.mark.parametrize("wrong", [np.array([]), np.array([1.0, np.nan])])
def test_what_is_no_difference_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected one or more finite numbers"):
        sign_flip_p_value(wrong, seed=0)
