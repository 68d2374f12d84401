"""Whether a candidate replaces the champion: a pure function of both models' scores on the gate's prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from levo.song.scores import Metric
from reward.bootstrap import PairedDifference, paired_bootstrap
from reward.sign_flip import draws_for, least_p_value, sign_flip_p_value

_ERROR_RATE = 0.05
_COVERAGE = 0.95
"""Of the intervals that limits and alarms go by, at every look."""
_MOST_UNHEARD = 0.05
"""Share of the champion's songs whose like of the candidate may lack a score: those that are left flatter it."""
_LEAST_PROMPTS = 2
_SEED = 0


@dataclass(frozen=True, slots=True)
class GateMetric:
    """A metric on the gate's prompts: each model's mean by prompt, and how much worse the candidate may be.

    Only judges that made no pairs decide (`metric.judge` is `held_out`); those that did are watched. `unheard` is how
    many songs fewer of the candidate's than of the champion's have a score, as a share of the champion's.
    """

    metric: Metric
    champion: Mapping[str, float]
    candidate: Mapping[str, float]
    limit: float
    unheard: float = 0.0

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(
                f"limit of {self.metric.name} is {self.limit}; expected how much worse it may be, 0 or more"
            )

    @property
    def is_judged(self) -> bool:
        """Whether both models have prompts enough in common for an interval."""
        return len(self.champion.keys() & self.candidate.keys()) >= _LEAST_PROMPTS


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """The gain of the candidate (positive is better), with its 95 % interval, by which limits and alarms go.

    Those can only refuse, and all of them must be kept: to ask them again spends nothing. What promotes goes by the
    look's own `coverage`: `surely_low` is the interval's lower end at it, `p_value` the randomisation test's (how often
    chance alone gives as large a gain), `least_p_value` the smallest that so many prompts can have. An interval is of
    10,000 resamples: at coverages beyond theirs the test decides.
    """

    name: str
    gain: float
    low: float
    high: float
    surely_low: float
    num_prompts: int
    p_value: float
    least_p_value: float
    coverage: float

    @property
    def level(self) -> float:
        """What the p-value must not exceed."""
        return (1 - self.coverage) / 2

    @property
    def is_better(self) -> bool:
        """Whether the look's interval is a gain, and the randomisation test agrees: with few prompts intervals lie."""
        return self.surely_low > 0 and self.p_value <= self.level

    @property
    def can_be_better(self) -> bool:
        """Whether any candidate could be found better on so many prompts, at this look."""
        return self.least_p_value <= self.level


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether the candidate is promoted, and why; alarms are for a person."""

    is_promoted: bool
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]
    verdicts: tuple[MetricVerdict, ...]
    coverage: float


def look_coverage(num_looks_before: int, error_rate: float = _ERROR_RATE) -> float:
    """The coverage of a look's intervals: look k at the same prompts spends 6 / (pi k)^2 of the error rate.

    However often the gate is asked on these prompts, a candidate that is no better is promoted by chance at most at
    `error_rate`: 1 + 1/4 + 1/9 + ... is pi^2 / 6, so that all looks together spend it whole. A look in a year can
    still promote, which one that spends half of what is left cannot. (K. Lan, D. DeMets: Discrete sequential
    boundaries, Biometrika 1983, say that any such sequence may be chosen beforehand.)
    """
    if num_looks_before < 0:
        raise ValueError(f"num_looks_before is {num_looks_before}; expected 0 or more")
    return 1 - error_rate * 6 / (pi * (num_looks_before + 1)) ** 2


def gate(metrics: Sequence[GateMetric], num_looks_before: int) -> GateDecision:
    """Promote a candidate that a held-out judge finds better and none finds worse than its limit allows.

    The error of a look is shared by all held-out metrics. A candidate whose songs lack too many of a held-out judge's
    scores is refused: what is left of them is no fair share. Alarms, which promote nobody, are what training judges
    find better while a held-out judge of any axis finds it worse, the sign of a model that pleases its judges; and
    prompts so few, or asked so often, that no candidate at all could be promoted. Raises `ValueError` without held-out
    metrics.
    """
    held_out = [one for one in metrics if one.metric.judge == "held_out"]
    if not held_out:
        raise ValueError("no metric of a held-out judge; judges that make pairs promote nobody")
    coverage = 1 - (1 - look_coverage(num_looks_before)) / len(held_out)
    verdicts = {one.metric.name: _verdict(one, coverage) for one in metrics if one.is_judged}
    deciding = [(one, verdicts[one.metric.name]) for one in held_out if one.is_judged]
    better = [verdict.name for _, verdict in deciding if verdict.is_better]
    worse = [
        f"{verdict.name} may be worse by {-verdict.low:.3f}, more than {one.limit:g}"
        for one, verdict in deciding
        if verdict.low < -one.limit
    ]
    unheard = [reason for one in held_out if (reason := _unheard(one)) is not None]
    alarms = [*_pleasing(metrics, verdicts), *_spent([verdict for _, verdict in deciding], num_looks_before)]
    reasons = [f"better: {', '.join(better)}"] if better else ["no held-out judge finds it better"]
    return GateDecision(
        is_promoted=bool(better) and not worse and not unheard and not alarms,
        reasons=(*reasons, *worse, *unheard),
        alarms=tuple(alarms),
        verdicts=tuple(verdicts.values()),
        coverage=coverage,
    )


def _verdict(one: GateMetric, coverage: float) -> MetricVerdict:
    found, sure = (
        paired_bootstrap(one.candidate, one.champion, seed=_SEED, coverage=share) for share in (_COVERAGE, coverage)
    )
    low, high = _gains(one.metric, found)
    shared = sorted(one.candidate.keys() & one.champion.keys())
    differences = np.array([one.metric.gain(one.candidate[name] - one.champion[name]) for name in shared])
    num_draws = draws_for((1 - coverage) / 2)
    return MetricVerdict(
        name=one.metric.name,
        gain=one.metric.gain(found.interval.mean),
        low=low,
        high=high,
        surely_low=_gains(one.metric, sure)[0],
        num_prompts=found.interval.num_prompts,
        p_value=sign_flip_p_value(differences, seed=_SEED, num_draws=num_draws),
        least_p_value=least_p_value(len(differences), num_draws),
        coverage=coverage,
    )


def _gains(metric: Metric, found: PairedDifference) -> tuple[float, float]:
    """The ends of an interval as gains, the worse one first."""
    ends = metric.gain(found.interval.low), metric.gain(found.interval.high)
    return min(ends), max(ends)


def _unheard(one: GateMetric) -> str | None:
    if not one.is_judged:
        return f"{one.metric.name} was heard of both on fewer than {_LEAST_PROMPTS} prompts"
    if one.unheard > _MOST_UNHEARD:
        return f"{one.metric.name} lacks {one.unheard:.0%} of the songs, more than {_MOST_UNHEARD:.0%}"
    return None


def _spent(verdicts: Sequence[MetricVerdict], num_looks_before: int) -> list[str]:
    """An alarm where no held-out judge can promote: the gate would refuse for ever, and look as if it worked."""
    if not verdicts or any(verdict.can_be_better for verdict in verdicts):
        return []
    most = max(verdict.num_prompts for verdict in verdicts)
    return [
        f"no candidate can be promoted on {most} prompts that were asked {num_looks_before} times before: "
        "begin a line with more gate prompts"
    ]


def _pleasing(metrics: Sequence[GateMetric], verdicts: Mapping[str, MetricVerdict]) -> list[str]:
    judged = [one for one in metrics if one.is_judged]
    pleased = [
        one.metric.name for one in judged if one.metric.judge == "training" and verdicts[one.metric.name].low > 0
    ]
    displeased = [
        one.metric.name for one in judged if one.metric.judge == "held_out" and verdicts[one.metric.name].high < 0
    ]
    if not pleased or not displeased:
        return []
    return [f"{', '.join(pleased)} rose while {', '.join(displeased)} fell: it pleases the judges it was trained by"]
