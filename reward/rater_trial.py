"""The pairing rule tried on real raters: a few of them are the noisy scorer, the others are the truth.

Clips are dealt into groups that stand for the candidates of one prompt. The rule pairs each group's best and worst
where the gap exceeds the few raters' own noise; plain max / min pairs every group. At the same number of kept
pairs, how many point the wrong way by the other raters' mean? Pairs that those raters hold equal count as half wrong.
(Were max / min told how many pairs to keep and kept its widest, it would be the rule: what the noise tells is where to
cut.)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from levo.song.arrays import Array
from levo.song.candidate import PreferencePair, ScoredCandidate
from levo.song.scores import Axis, Metric, Score
from reward.bootstrap import MeanInterval, bootstrap_mean
from reward.noise import ScorerNoise, noise_of_scores
from reward.pairing import PairingRule, make_pairs

RATING_AXES = ("Content_Enjoyment", "Content_Usefulness", "Production_Complexity", "Production_Quality")


@dataclass(frozen=True, slots=True)
class RaterTrial:
    """Shares of wrong pairs, means over rounds; `difference` is rule - max / min, with an interval over rounds."""

    rating_axis: str
    num_clips: int
    num_scoring_raters: int
    noise_multiple: float
    kept_share: float
    wrong_share_rule: float
    wrong_share_max_min: float
    difference: MeanInterval


@dataclass(frozen=True, slots=True)
class _Round:
    kept_share: float
    wrong_rule: float
    wrong_max_min: float


def read_ratings(path: Path, rating_axis: str) -> Float64[Array, "clip rater"]:
    """Ratings of one axis from JSON lines, each with a list of equally many raters."""
    if rating_axis not in RATING_AXES:
        raise ValueError(f"rating axis {rating_axis!r}; expected one of {', '.join(RATING_AXES)}")
    with path.open() as file:
        return np.array([json.loads(line)[rating_axis] for line in file], dtype=np.float64)


def run_rater_trial(
    ratings: Float64[Array, "clip rater"],
    rating_axis: str,
    *,
    seed: int,
    num_scoring_raters: int = 2,
    clips_per_group: int = 6,
    noise_multiple: float = 2.0,
    num_rounds: int = 50,
) -> RaterTrial:
    """Deal groups and scoring raters anew in every round, and compare the rule with plain max / min.

    Max / min keeps a random share of its pairs, as many as the rule keeps. Raises `ValueError` for fewer than two
    scoring raters (their noise would be unknown) or where no rater is left as the truth.
    """
    if not 2 <= num_scoring_raters < ratings.shape[1]:
        raise ValueError(
            f"{num_scoring_raters} scoring raters of {ratings.shape[1]}; expected 2 or more, and some left"
        )
    generator = np.random.default_rng(seed)
    metric = Metric(rating_axis, "higher", "points", "training")
    rule = PairingRule(Axis.MUSICALITY, metric, margin=0.0, noise_multiple=noise_multiple, max_pairs_per_prompt=1)
    rounds = [_round(ratings, rule, num_scoring_raters, clips_per_group, generator) for _ in range(num_rounds)]
    return RaterTrial(
        rating_axis,
        len(ratings),
        num_scoring_raters,
        noise_multiple,
        float(np.mean([one.kept_share for one in rounds])),
        float(np.mean([one.wrong_rule for one in rounds])),
        float(np.mean([one.wrong_max_min for one in rounds])),
        bootstrap_mean(np.array([one.wrong_rule - one.wrong_max_min for one in rounds]), seed=seed),
    )


def _round(
    ratings: Float64[Array, "clip rater"],
    rule: PairingRule,
    num_scoring_raters: int,
    clips_per_group: int,
    generator: np.random.Generator,
) -> _Round:
    dealt = generator.permuted(ratings, axis=1)
    scores, truth = dealt[:, :num_scoring_raters], dealt[:, num_scoring_raters:].mean(axis=1)
    num_groups = len(ratings) // clips_per_group
    clips = generator.permutation(len(ratings))[: num_groups * clips_per_group]
    candidates = [
        _candidate(int(clip), index // clips_per_group, float(scores[clip].mean()), rule.metric)
        for index, clip in enumerate(clips)
    ]
    every = make_pairs(candidates, replace(rule, noise_multiple=0.0), _noise_of_mean(scores, rule.metric), "none").pairs
    kept = make_pairs(candidates, rule, _noise_of_mean(scores, rule.metric), "none").pairs
    if not kept:
        raise ValueError(f"noise multiple {rule.noise_multiple} leaves no pair of {len(every)}; lower it")
    drawn = generator.choice(len(every), size=len(kept), replace=False)
    return _Round(
        len(kept) / len(every), _wrong_share(kept, truth), _wrong_share([every[index] for index in drawn], truth)
    )


def _candidate(clip: int, group: int, value: float, metric: Metric) -> ScoredCandidate:
    return ScoredCandidate(f"{clip:06d}", f"{group:06d}", {metric.name: Score(value)})


def _noise_of_mean(scores: Float64[Array, "clip scoring_rater"], metric: Metric) -> ScorerNoise:
    """The noise of a mean of raters, from how far they disagree on the same clip."""
    one = noise_of_scores(metric.name, "raters", [[Score(float(value)) for value in rater] for rater in scores.T])
    return replace(one, standard_deviation=one.standard_deviation / scores.shape[1] ** 0.5)


def _wrong_share(pairs: Sequence[PreferencePair], truth: Float64[Array, " clip"]) -> float:
    """The share of pairs whose rejected clip the truth holds better; equal ones count half."""
    gaps = np.array([truth[int(pair.chosen_id)] - truth[int(pair.rejected_id)] for pair in pairs])
    return float(np.mean((gaps < 0) + 0.5 * (gaps == 0)))
