"""What is wrong with a preference run before it is paid for: its pairs, its reference, and a trial of a few steps.

Every judgement is a function of measured facts; `preflight_trial.py` measures them. A problem means that the run would
not do what it is meant to, a warning that somebody should look.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64

from levo.alignment.pairs import PairExample, PairStore
from levo.song.arrays import Array

CHANCE_LOSS = math.log(2)
"""The loss of a policy that is its reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightLimits:
    """What is still healthy; rewards are implicit ones, beta times the log-ratio to the reference."""

    max_initial_reward: float = 0.05
    """Mean size of the rewards before any step: what rounding in bfloat16 leaves of a whole song stays below."""
    min_loss_drop: float = 1e-3
    """How far the trial must bring the loss below ln 2, on the pairs that it saw."""
    max_swapped_share: float = 0.0
    max_hidden_share: float = 0.02
    max_length_imbalance: float = 0.4
    """How far the share of pairs whose chosen song is the longer one may be from a half: problem beyond it."""
    significance: float = 0.01
    """Of the sign test that tells an imbalance of lengths from chance."""
    max_collapse: float = 1.0
    """How far the chosen songs' rewards may fall, as a share of the margin that is won: problem beyond it."""
    tolerated_collapse: float = 0.2
    """Of the same share, what nobody is warned of."""
    min_collapse_reward: float = 0.02
    """A smaller fall is no collapse, whatever its share."""


LIMITS = PreflightLimits()


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """What was found; a run is ready to be paid for where there are no problems."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def __add__(self, other: "PreflightReport") -> "PreflightReport":
        return PreflightReport(
            self.problems + other.problems, self.warnings + other.warnings, {**self.measures, **other.measures}
        )


@dataclass(frozen=True, slots=True, eq=False)
class PairFacts:
    """What the pairs are, whatever the model: their lengths in frames, and whether training can tell their songs apart.

    `gains` are how much better the chosen song is by the pair's own metric, not a number where that is unknown.
    """

    chosen_frames: Int64[Array, " pair"]
    rejected_frames: Int64[Array, " pair"]
    is_hidden: Bool[Array, " pair"]
    gains: Float64[Array, " pair"]
    num_contradicted: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PairRewards:
    """Implicit rewards of the songs of each pair."""

    chosen: Float64[Array, " pair"]
    rejected: Float64[Array, " pair"]

    @property
    def margins(self) -> Float64[Array, " pair"]:
        """How much more than the reference the policy prefers the chosen song."""
        return self.chosen - self.rejected

    @property
    def loss(self) -> float:
        """The mean of -log sigmoid(margin): DPO's loss, Rafailov et al. 2023, equation 7."""
        margins = self.margins
        return float(np.logaddexp(0.0, -margins).mean()) if np.isfinite(margins).all() else math.nan

    @property
    def accuracy(self) -> float:
        """The share of pairs with a positive margin."""
        return float((self.margins > 0).mean())


def pair_facts(pairs: PairStore, gains: Mapping[str, float], max_frames: int | None = None) -> PairFacts:
    """Look at every pair; `gains` are by pair id, and training sees the first `max_frames` frames of a song."""
    examples = [pairs[index] for index in range(len(pairs))]
    sides = list(zip(pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True))
    preferred = set(sides)
    return PairFacts(
        chosen_frames=np.array([pair.chosen.shape[1] for pair in examples], np.int64),
        rejected_frames=np.array([pair.rejected.shape[1] for pair in examples], np.int64),
        is_hidden=np.array([_is_hidden(pair, max_frames) for pair in examples], np.bool_),
        gains=np.array([gains.get(pair.pair_id, math.nan) for pair in examples], np.float64),
        num_contradicted=sum((worse, better) in preferred for better, worse in sides),
    )


def judge_pairs(facts: PairFacts, limits: PreflightLimits = LIMITS) -> PreflightReport:
    """Swapped pairs, differences that a cut hides, and lengths that tell the better song.

    A policy learns length where chosen songs are the longer ones (Singhal et al. 2023, arXiv 2310.03716).
    """
    num_pairs = len(facts.gains)
    known = facts.gains[~np.isnan(facts.gains)]
    measures = {
        "pairs": float(num_pairs),
        "swapped_share": float((known < 0).mean()) if len(known) else 0.0,
        "hidden_share": float(facts.is_hidden.mean()),
    }
    swapped, hidden = measures["swapped_share"], measures["hidden_share"]
    problems, warnings = [], []
    if swapped > limits.max_swapped_share:
        problems.append(
            f"swapped pairs: in {swapped:.1%} of {len(known)} pairs the metric that made them finds the rejected song "
            f"the better one; expected at most {limits.max_swapped_share:.1%}"
        )
    if facts.num_contradicted:
        problems.append(f"contradictions: {facts.num_contradicted} pairs stand beside their own reversal")
    if len(known) < num_pairs:
        warnings.append(f"scores: {num_pairs - len(known)} of {num_pairs} pairs have none, so nobody knows their order")
    if hidden > 0:
        told = (
            f"truncation: in {hidden:.1%} of the pairs both songs are equal in the part that training sees; "
            f"expected at most {limits.max_hidden_share:.1%}"
        )
        (problems if hidden > limits.max_hidden_share else warnings).append(told)
    return PreflightReport(tuple(problems), tuple(warnings), measures) + _judge_lengths(facts, limits)


def judge_start(rewards: PairRewards, limits: PreflightLimits = LIMITS) -> PreflightReport:
    """Whether the policy is its reference before any step, so that the loss starts at ln 2."""
    size = float(np.abs(np.concatenate([rewards.chosen, rewards.rejected])).mean())
    measures = {"initial_reward": size, "initial_loss": rewards.loss}
    if not size <= limits.max_initial_reward:
        problem = (
            f"reference: before any step the implicit rewards are {size:.3g} in size, the loss {rewards.loss:.3f} and "
            f"not ln 2; expected at most {limits.max_initial_reward:g}: the policy is not the model that the reference "
            "was computed with, or they do not see the same songs"
        )
        return PreflightReport((problem,), (), measures)
    return PreflightReport(measures=measures)


def judge_trial(rewards: PairRewards, limits: PreflightLimits = LIMITS) -> PreflightReport:
    """What a few steps did to the pairs that they saw, against the policy that they began from.

    The likelihood of chosen songs can fall while the margin grows, since the loss asks for the margin alone (Pal et al.
    2024, DPO-Positive, arXiv 2402.13228; Razin et al. 2024, arXiv 2410.08847).
    """
    margin, chosen, loss = float(rewards.margins.mean()), float(rewards.chosen.mean()), rewards.loss
    measures = {
        "trial_loss": loss,
        "trial_margin": margin,
        "trial_chosen_reward": chosen,
        "trial_rejected_reward": float(rewards.rejected.mean()),
        "trial_accuracy": rewards.accuracy,
    }
    problems, warnings = [], []
    if not math.isfinite(loss):
        problems.append(f"trial: the loss is {loss} after it; expected a number")
    elif abs(CHANCE_LOSS - loss) < limits.min_loss_drop:
        problems.append(
            f"stuck: the trial leaves the loss at ln 2 ({loss - CHANCE_LOSS:+.1e}); expected a drop of "
            f"{limits.min_loss_drop:g}: the learning rate is too small, weights are frozen, or steps are rounded away"
        )
    elif loss > CHANCE_LOSS:
        problems.append(
            f"trial: the loss rises to {loss:.3f}, above ln 2, on the pairs that it saw; the learning rate is too large"
        )
    elif rewards.accuracy < 0.5:
        warnings.append(
            f"trial: margins are positive in {rewards.accuracy:.0%} of the pairs alone; a few pairs carry it"
        )
    share = -chosen / margin if margin > 0 else 0.0
    if share > limits.tolerated_collapse and chosen < -limits.min_collapse_reward:
        told = (
            f"collapse: the trial wins a margin of {margin:.3g} by making chosen songs less likely "
            f"(reward {chosen:.3g}, {share:.1f} of it); expected less than {limits.max_collapse:g} of it"
        )
        (problems if share >= limits.max_collapse else warnings).append(told)
    return PreflightReport(tuple(problems), tuple(warnings), measures)


def sign_test(num_above: int, num_below: int) -> float:
    """The two-sided p-value of so many signs of each kind where both are as likely; 1 where there are none."""
    num = num_above + num_below
    fewer = min(num_above, num_below)
    log_terms = [math.lgamma(num + 1) - math.lgamma(k + 1) - math.lgamma(num - k + 1) for k in range(fewer + 1)]
    tail = sum(math.exp(term - num * CHANCE_LOSS) for term in log_terms)
    return min(1.0, 2.0 * tail)


def _judge_lengths(facts: PairFacts, limits: PreflightLimits) -> PreflightReport:
    difference = facts.chosen_frames - facts.rejected_frames
    longer, shorter = int((difference > 0).sum()), int((difference < 0).sum())
    # Of a chosen and a rejected song of one pair, how often the longer one is chosen; ties count for both.
    share = (longer + (len(difference) - longer - shorter) / 2) / len(difference)
    p_value = sign_test(longer, shorter)
    measures = {"chosen_longer_share": share, "length_p_value": p_value, "mean_frames_longer": float(difference.mean())}
    if p_value >= limits.significance:
        return PreflightReport(measures=measures)
    told = (
        f"lengths: the chosen song is the longer one in {longer} pairs and the shorter one in {shorter} "
        f"({float(difference.mean()):+.1f} frames, p = {p_value:.1g}); a policy may learn that and not the preference"
    )
    is_problem = abs(share - 0.5) > limits.max_length_imbalance
    return PreflightReport((told,) if is_problem else (), () if is_problem else (told,), measures)


def _is_hidden(pair: PairExample, max_frames: int | None) -> bool:
    """Whether both songs are one as far as training sees them; whether a song ended is seen at its end alone."""
    seen = list(_seen(pair, max_frames))
    (chosen, chosen_ends), (rejected, rejected_ends) = seen
    return chosen_ends == rejected_ends and np.array_equal(chosen, rejected)


def _seen(pair: PairExample, max_frames: int | None) -> Iterator[tuple[Int64[Array, "stream frame"], bool]]:
    for codes, ended in ((pair.chosen, pair.chosen_ended), (pair.rejected, pair.rejected_ended)):
        is_cut = max_frames is not None and codes.shape[1] > max_frames
        yield codes[:, :max_frames].astype(np.int64), ended and not is_cut
