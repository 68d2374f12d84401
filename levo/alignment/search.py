"""The search for interpolation coefficients: which mixture to try next, and which of those tried is best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Coefficients = tuple[float, ...]
Metrics = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a mixture must keep: the metric's value at most `highest` and at least `lowest`."""

    metric: str
    highest: float = float("inf")
    lowest: float = float("-inf")

    def broken_by(self, metrics: Metrics) -> str | None:
        """Why the metrics break the limit, or None; a metric without a value breaks it."""
        value = metrics.get(self.metric)
        if value is None:
            return f"{self.metric} is missing"
        if value > self.highest:
            return f"{self.metric} is {value:.4g}, above {self.highest:.4g}"
        if value < self.lowest:
            return f"{self.metric} is {value:.4g}, below {self.lowest:.4g}"
        return None


@dataclass(frozen=True, slots=True)
class Goal:
    """What makes one mixture better than another: a weighted sum of metrics, negative weights where lower is better."""

    weights: Mapping[str, float]
    limits: tuple[Limit, ...] = ()

    def value(self, metrics: Metrics) -> float | None:
        """The weighted sum, or None where a metric is missing."""
        total = 0.0
        for name, weight in self.weights.items():
            value = metrics.get(name)
            if value is None:
                return None
            total += weight * value
        return total

    def refusals(self, metrics: Metrics) -> tuple[str, ...]:
        """All reasons why a mixture with these metrics must not be chosen."""
        broken = tuple(reason for limit in self.limits if (reason := limit.broken_by(metrics)) is not None)
        unknown = tuple(f"{name} is missing" for name in self.weights if metrics.get(name) is None)
        return broken + tuple(reason for reason in unknown if reason not in broken)


@dataclass(frozen=True, slots=True)
class Trial:
    """A mixture that was evaluated."""

    coefficients: Coefficients
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Choice:
    """The best mixture within the limits, or None, and why every refused one was refused."""

    best: Trial | None
    refused: tuple[tuple[Coefficients, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How far to look: the `opening` mixtures first, then moves from the best one, of `first_step` down to `last_step`.

    At most `max_trials` mixtures are tried, the opening's among them.
    """

    opening: tuple[Coefficients, ...]
    max_trials: int
    first_step: float = 0.2
    last_step: float = 0.05

    def __post_init__(self) -> None:
        if not self.opening or len({len(point) for point in self.opening}) != 1:
            raise ValueError(f"opening {self.opening}; expected at least one mixture, all of as many models")
        if self.max_trials < len(self.opening):
            raise ValueError(f"max_trials is {self.max_trials}; the opening alone has {len(self.opening)}")
        if not 0 < self.last_step <= self.first_step:
            raise ValueError(f"steps from {self.first_step} to {self.last_step}; expected them falling, above 0")


def choose(trials: Sequence[Trial], goal: Goal) -> Choice:
    """The trial of highest goal value among those within the limits; the earlier one of equals."""
    refused = tuple((trial.coefficients, reasons) for trial in trials if (reasons := goal.refusals(trial.metrics)))
    allowed = [trial for trial in trials if not goal.refusals(trial.metrics)]
    values = [goal.value(trial.metrics) for trial in allowed]
    scored = [(value, -place) for place, value in enumerate(values) if value is not None]
    return Choice(allowed[-max(scored)[1]] if scored else None, refused)


def next_mixture(trials: Sequence[Trial], goal: Goal, plan: SearchPlan) -> Coefficients | None:
    """What to try after these trials, or None when the plan is exhausted.

    Coefficients weigh differences from a base: each is at least 0, and they sum to anything. From the best mixture so
    far one coefficient moves at a time; when no such move is left untried the step halves. Without a mixture inside the
    limits the opening is all there is.
    """
    tried = {_key(trial.coefficients) for trial in trials}
    if len(trials) >= plan.max_trials:
        return None
    for point in plan.opening:
        if _key(point) not in tried:
            return point
    best = choose(trials, goal).best
    if best is None:
        return None
    step = plan.first_step
    while step >= plan.last_step:
        for point in _moves(best.coefficients, step):
            if _key(point) not in tried:
                return point
        step /= 2
    return None


def search(evaluate: Callable[[Coefficients], Metrics], goal: Goal, plan: SearchPlan) -> tuple[Trial, ...]:
    """Evaluate mixture after mixture as the plan asks; all trials, in their order."""
    trials: list[Trial] = []
    while (point := next_mixture(trials, goal, plan)) is not None:
        trials.append(Trial(point, evaluate(point)))
    return tuple(trials)


def _moves(point: Coefficients, step: float) -> list[Coefficients]:
    moved = [
        (*point[:model], max(0.0, point[model] + change), *point[model + 1 :])
        for model in range(len(point))
        for change in (step, -step)
    ]
    return [other for other in moved if _key(other) != _key(point)]


def _key(point: Coefficients) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in point)
