"""Two states are found where there are two, turns cost what they are said to, and one state is none."""

import numpy as np
import pytest

from annotation.structure.two_states import two_states

NO_BEGINS = np.zeros(120, dtype=bool)


def drawn(states: np.ndarray, contrast: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(len(states), 3))
    return np.asarray(noise + contrast * states[:, None] * np.array([1.0, 0.0, -1.0]))


@pytest.mark.parametrize("seed", range(5))
def test_states_that_differ_are_told_apart(seed: int) -> None:
    truth = np.repeat([0, 1, 0, 1], 30)
    found = two_states(drawn(truth, 4.0, seed), NO_BEGINS, switch_cost=3.0)
    assert found is not None
    agreement = (found == truth).mean()
    assert max(agreement, 1 - agreement) > 0.97


def test_a_brief_turn_is_not_worth_its_cost_unless_it_is_free() -> None:
    truth = np.repeat([0, 1, 0, 1], [50, 50, 5, 15])
    features = drawn(truth, 6.0)
    cheap, dear = (two_states(features, NO_BEGINS, switch_cost=cost) for cost in (0.1, 8.0))
    assert cheap is not None
    assert dear is not None
    assert (np.diff(cheap) != 0).sum() == 3
    assert (np.diff(dear) != 0).sum() == 1
    begins = NO_BEGINS.copy()
    begins[[100, 105]] = True
    free = two_states(features, begins, switch_cost=8.0)
    assert free is not None
    assert (np.diff(free) != 0).sum() == 3


def test_what_never_changes_has_no_two_states() -> None:
    assert two_states(np.ones((120, 3)), NO_BEGINS, 1.0) is None
    assert two_states(np.ones((1, 3)), NO_BEGINS[:1], 1.0) is None
    assert two_states(drawn(np.zeros(120, dtype=int), 0.0), NO_BEGINS, switch_cost=1e6) is None
