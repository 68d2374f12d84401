import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from levo.alignment.dpo import PairLogProbabilities, per_token, preference_loss

log_probabilities = st.floats(-2000, 0)


def _pair(chosen: float, rejected: float) -> PairLogProbabilities:
    return PairLogProbabilities(
        torch.tensor([chosen], dtype=torch.float64), torch.tensor([rejected], dtype=torch.float64)
    )


def test_the_loss_is_the_paper_s_equation_written_out() -> None:
    outcome = preference_loss(_pair(-100.0, -120.0), _pair(-104.0, -119.0), beta=0.1)
    margin = 0.1 * ((-100 + 104) - (-120 + 119))
    assert float(outcome.losses) == pytest.approx(-math.log(1 / (1 + math.exp(-margin))))
    assert float(outcome.chosen_rewards) == pytest.approx(0.4)
    assert float(outcome.rejected_rewards) == pytest.approx(-0.1)
    assert float(outcome.margins) == pytest.approx(margin)
    assert bool(outcome.correct)


@given(chosen=log_probabilities, rejected=log_probabilities, beta=st.floats(0.01, 1))
def test_a_policy_that_is_its_reference_loses_log_two(chosen: float, rejected: float, beta: float) -> None:
    outcome = preference_loss(_pair(chosen, rejected), _pair(chosen, rejected), beta)
    assert float(outcome.losses) == pytest.approx(math.log(2))
    assert not bool(outcome.correct)


@given(shift=st.floats(-50, 50), gain=st.floats(0.01, 20))
def test_only_the_difference_to_the_reference_counts(shift: float, gain: float) -> None:
    reference = _pair(-300.0, -290.0)
    plain = preference_loss(_pair(-300.0 + gain, -290.0), reference, 0.1)
    shifted = preference_loss(_pair(-300.0 + gain + shift, -290.0 + shift), reference, 0.1)
    assert float(shifted.losses) == pytest.approx(float(plain.losses))
    assert float(plain.losses) < math.log(2)


def test_the_gradient_raises_the_better_song_and_lowers_the_worse_one_alike() -> None:
    chosen, rejected = torch.tensor([-10.0], requires_grad=True), torch.tensor([-9.0], requires_grad=True)
    outcome = preference_loss(PairLogProbabilities(chosen, rejected), _pair(-10.0, -9.0), beta=0.2)
    torch.autograd.backward(outcome.losses.sum())
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert float(chosen.grad) == pytest.approx(-0.1)
    assert float(rejected.grad) == pytest.approx(0.1)


def test_length_normalised_log_probabilities_are_means() -> None:
    assert per_token(torch.tensor([-6.0, 0.0]), torch.tensor([3.0, 0.0])).tolist() == [-2.0, 0.0]
