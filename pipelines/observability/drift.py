"""How far a night's mean reward is from the usual night's: a pure function, in the spread of the nights before."""

from collections.abc import Sequence
from statistics import median

from levo.song.scores import Metric

_TO_DEVIATION = 1.4826
"""The median absolute deviation of a normal variable, times this, is its standard deviation."""
_FEWEST_NIGHTS = 3


def reward_drift(metric: Metric, mean: float, earlier_means: Sequence[float], noise: float) -> float | None:
    """How much better (positive) or worse a mean is than the median night, in standard deviations of the nights.

    The spread is never taken to be less than `noise` (> 0), what the mean of a night is known to within. None where
    there are fewer than three nights before. Raises `ValueError` for a noise that is not positive.
    """
    if noise <= 0:
        raise ValueError(f"the noise of {metric.name} is {noise}; expected more than 0")
    if len(earlier_means) < _FEWEST_NIGHTS:
        return None
    usual = median(earlier_means)
    spread = _TO_DEVIATION * median(abs(one - usual) for one in earlier_means)
    return metric.gain(mean - usual) / max(spread, noise)
