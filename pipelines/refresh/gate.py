"""Whether a candidate replaces the champion: a pure function of both models' scores on the gate's prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from levo.song.scores import Metric
from reward.bootstrap import PairedDifference, paired_bootstrap
from reward.sign_flip import sign_flip_p_value

_ERROR_RATE = 0.05
_SEED = 0


@dataclass(frozen=True, slots=True)
class GateMetric:
    """A metric on the gate's prompts: each model's mean by prompt, and how much worse the candidate may be.

    Only judges that made no pairs decide (`metric.judge` is `held_out`); those that did are watched.
    """

    metric: Metric
    champion: Mapping[str, float]
    candidate: Mapping[str, float]
    limit: float

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(
                f"limit of {self.metric.name} is {self.limit}; expected how much worse it may be, 0 or more"
            )


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """The gain of the candidate (positive is better), with its interval at this look's coverage.

    `p_value` is the randomisation test's: how often chance alone gives as large a gain.
    """

    name: str
    gain: float
    low: float
    high: float
    num_prompts: int
    p_value: float
    coverage: float

    @property
    def is_better(self) -> bool:
        """Whether the whole interval is a gain, and the randomisation test agrees: with few prompts intervals lie."""
        return self.low > 0 and self.p_value <= (1 - self.coverage) / 2


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether the candidate is promoted, and why; alarms are for a person."""

    is_promoted: bool
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]
    verdicts: tuple[MetricVerdict, ...]
    coverage: float


def look_coverage(num_looks_before: int, error_rate: float = _ERROR_RATE) -> float:
    """The coverage of a look's intervals: each look at the same prompts spends half of the error that is left.

    However often the gate is asked on these prompts, a candidate that is no better is promoted by chance at most at
    `error_rate` (K. Lan, D. DeMets: Discrete sequential boundaries, Biometrika 1983, with spending
    error_rate / 2^look).
    """
    if num_looks_before < 0:
        raise ValueError(f"num_looks_before is {num_looks_before}; expected 0 or more")
    return 1 - error_rate * 0.5 ** (num_looks_before + 1)


def gate(metrics: Sequence[GateMetric], num_looks_before: int) -> GateDecision:
    """Promote a candidate that a held-out judge finds better and none finds worse than its limit allows.

    The error of a look is shared by all held-out metrics. An alarm, and no promotion, is what training judges find
    better while a held-out judge of any axis finds it worse: the sign of a model that pleases its judges. Raises
    `ValueError` without held-out metrics, or where a metric has fewer than two shared prompts.
    """
    held_out = [one for one in metrics if one.metric.judge == "held_out"]
    if not held_out:
        raise ValueError("no metric of a held-out judge; judges that make pairs promote nobody")
    coverage = 1 - (1 - look_coverage(num_looks_before)) / len(held_out)
    verdicts = {one.metric.name: _verdict(one, coverage) for one in metrics}
    deciding = [(one, verdicts[one.metric.name]) for one in held_out]
    better = [verdict.name for _, verdict in deciding if verdict.is_better]
    worse = [
        f"{verdict.name} may be worse by {-verdict.low:.3f}, more than {one.limit:g}"
        for one, verdict in deciding
        if verdict.low < -one.limit
    ]
    alarms = _alarms(metrics, verdicts)
    reasons = [f"better: {', '.join(better)}"] if better else ["no held-out judge finds it better"]
    return GateDecision(
        is_promoted=bool(better) and not worse and not alarms,
        reasons=(*reasons, *worse),
        alarms=tuple(alarms),
        verdicts=tuple(verdicts.values()),
        coverage=coverage,
    )


def _verdict(one: GateMetric, coverage: float) -> MetricVerdict:
    found: PairedDifference = paired_bootstrap(one.candidate, one.champion, seed=_SEED, coverage=coverage)
    gains = sorted((one.metric.gain(found.interval.low), one.metric.gain(found.interval.high)))
    shared = sorted(one.candidate.keys() & one.champion.keys())
    differences = np.array([one.metric.gain(one.candidate[name] - one.champion[name]) for name in shared])
    return MetricVerdict(
        name=one.metric.name,
        gain=one.metric.gain(found.interval.mean),
        low=gains[0],
        high=gains[1],
        num_prompts=found.interval.num_prompts,
        p_value=sign_flip_p_value(differences, seed=_SEED),
        coverage=coverage,
    )


def _alarms(metrics: Sequence[GateMetric], verdicts: Mapping[str, MetricVerdict]) -> list[str]:
    pleased = [
        one.metric.name for one in metrics if one.metric.judge == "training" and verdicts[one.metric.name].low > 0
    ]
    displeased = [
        one.metric.name for one in metrics if one.metric.judge == "held_out" and verdicts[one.metric.name].high < 0
    ]
    if not pleased or not displeased:
        return []
    return [f"{', '.join(pleased)} rose while {', '.join(displeased)} fell: it pleases the judges it was trained by"]
