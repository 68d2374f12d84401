"""Direct preference optimisation (Rafailov et al. 2023, equation 7) on log-probabilities of whole songs."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, slots=True, eq=False)
class PairLogProbabilities:
    """Log-probabilities of the better and the worse song of each pair under one model.

    A song's is the sum over the three streams and their valid positions, end token included, each token given the
    columns before it as the delay pattern interleaves them; or that sum over its number of tokens.
    """

    chosen: Float[Tensor, " pair"]
    rejected: Float[Tensor, " pair"]


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceLoss:
    """The loss of each pair, and what to watch: implicit rewards are beta times the log-ratio to the reference."""

    losses: Float[Tensor, " pair"]
    chosen_rewards: Float[Tensor, " pair"]
    rejected_rewards: Float[Tensor, " pair"]

    @property
    def margins(self) -> Float[Tensor, " pair"]:
        """How much more the policy has come to prefer the better song than the reference does."""
        return self.chosen_rewards - self.rejected_rewards

    @property
    def correct(self) -> Bool[Tensor, " pair"]:
        """Pairs whose margin is positive: preference accuracy is their share."""
        return self.margins > 0


def preference_loss(policy: PairLogProbabilities, reference: PairLogProbabilities, beta: float) -> PreferenceLoss:
    """-log sigmoid(beta [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))]) of each pair."""
    chosen = beta * (policy.chosen - reference.chosen)
    rejected = beta * (policy.rejected - reference.rejected)
    return PreferenceLoss(-logsigmoid(chosen - rejected), chosen.detach(), rejected.detach())


def per_token(log_probability: Float[Tensor, " row"], num_tokens: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
    """The length-normalised log-probability: long and short songs weigh alike."""
    return log_probability / torch.clamp(num_tokens, min=1)
