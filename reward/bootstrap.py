"""Intervals of means over prompts by the bootstrap, and of paired differences between two models.

The interval is BCa (bias-corrected and accelerated; Efron 1987, "Better Bootstrap Confidence Intervals", equations 2.3
and 6.6): score differences are skewed and prompts are few, where the plain percentile interval covers too little.
Prompts are the unit that is drawn again; several songs of one prompt are averaged first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.special import ndtr, ndtri

from levo.song.arrays import Array
from levo.song.scores import Score

_DRAWS_PER_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean over prompts and the interval that covers it with probability `coverage`."""

    mean: float
    low: float
    high: float
    num_prompts: int
    coverage: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of (model - base) over the prompts that both have; the others are counted and left out."""

    interval: MeanInterval
    num_unpaired: int


@dataclass(frozen=True, slots=True)
class PromptMeans:
    """One value a prompt, the mean of its songs' scores; missing scores are counted by reason."""

    means: dict[str, float]
    missing: dict[str, int]


def prompt_means(scores: Iterable[tuple[str, Score]]) -> PromptMeans:
    """Average (prompt_id, score) by prompt; a prompt whose scores are all missing has no mean."""
    values: dict[str, list[float]] = {}
    missing: dict[str, int] = {}
    for prompt_id, score in scores:
        if score.value is None:
            reason = str(score.missing)
            missing[reason] = missing.get(reason, 0) + 1
        else:
            values.setdefault(prompt_id, []).append(score.value)
    return PromptMeans({prompt_id: float(np.mean(values[prompt_id])) for prompt_id in sorted(values)}, missing)


def paired_bootstrap(
    model: Mapping[str, float],
    base: Mapping[str, float],
    *,
    seed: int,
    num_resamples: int = 10_000,
    coverage: float = 0.95,
) -> PairedDifference:
    """Interval of the mean difference model - base, prompt by prompt. Raises `ValueError` below two shared prompts."""
    shared = sorted(model.keys() & base.keys())
    differences = np.array([model[prompt_id] - base[prompt_id] for prompt_id in shared], dtype=np.float64)
    interval = bootstrap_mean(differences, seed=seed, num_resamples=num_resamples, coverage=coverage)
    return PairedDifference(interval, len(model.keys() | base.keys()) - len(shared))


def bootstrap_mean(
    values: Float64[Array, " prompt"], *, seed: int, num_resamples: int = 10_000, coverage: float = 0.95
) -> MeanInterval:
    """BCa interval of a mean; equal values give a point.

    Raises `ValueError` below two values or where one is not finite.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} prompts; an interval needs at least 2")
    if not np.isfinite(values).all():
        raise ValueError(f"value {values[~np.isfinite(values)][0]} among the prompts; leave missing scores out")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage {coverage}; expected a share between 0 and 1, such as 0.95")
    mean = float(values.mean())
    deviations = values - mean
    squares = float((deviations**2).sum())
    if squares <= (1e-12 * max(1.0, abs(mean))) ** 2 * len(values):
        return MeanInterval(mean, mean, mean, len(values), coverage)
    means = _resampled_means(values, seed, num_resamples)
    # The jackknife acceleration (Efron 1987, eq. 6.6), which for a mean has this closed form.
    acceleration = float((deviations**3).sum()) / (6 * squares**1.5)
    low, high = np.quantile(means, _corrected_levels(means, mean, acceleration, coverage))
    return MeanInterval(mean, float(low), float(high), len(values), coverage)


def _resampled_means(values: Float64[Array, " prompt"], seed: int, num_resamples: int) -> Float64[Array, " resample"]:
    generator = np.random.default_rng(seed)
    rows_per_block = max(1, _DRAWS_PER_BLOCK // len(values))
    blocks = [
        values[generator.integers(len(values), size=(min(rows_per_block, num_resamples - start), len(values)))].mean(1)
        for start in range(0, num_resamples, rows_per_block)
    ]
    return np.concatenate(blocks)


def _corrected_levels(
    means: Float64[Array, " resample"], mean: float, acceleration: float, coverage: float
) -> Float64[Array, "2"]:
    """The quantile levels between which BCa takes its interval (Efron 1987, eq. 2.3)."""
    below = (np.sum(means < mean) + 0.5 * np.sum(means == mean)) / len(means)
    bias = ndtri(np.clip(below, 1 / len(means), 1 - 1 / len(means)))
    shifted = bias + ndtri([(1 - coverage) / 2, (1 + coverage) / 2])
    levels: Float64[Array, 2] = ndtr(bias + shifted / (1 - acceleration * shifted))
    return levels
