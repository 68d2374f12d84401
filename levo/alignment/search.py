"""The search for interpolation coefficients: which mixture to try next, and which of those tried is best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

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
class SearchOutcome:
    """The choice and every trial that led to it, in order."""

    choice: Choice
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How far to look: the equal mixture and the pure models first, then moves of `first_step` down to `last_step`."""

    max_trials: int = 12
    first_step: float = 0.25
    last_step: float = 0.1


def choose(trials: Sequence[Trial], goal: Goal) -> Choice:
    """The trial of highest goal value among those within the limits; the earlier one of equals."""
    refused = tuple((trial.coefficients, reasons) for trial in trials if (reasons := goal.refusals(trial.metrics)))
    allowed = [trial for trial in trials if not goal.refusals(trial.metrics)]
    values = [goal.value(trial.metrics) for trial in allowed]
    scored = [(value, -place) for place, value in enumerate(values) if value is not None]
    return Choice(allowed[-max(scored)[1]] if scored else None, refused)


def next_mixture(trials: Sequence[Trial], goal: Goal, num_models: int, plan: SearchPlan) -> Coefficients | None:
    """What to try after these trials, or None when the plan is exhausted.

    Coefficients are at least 0 and sum to 1. Around the best mixture so far weight moves from one model to another;
    when no such move is left untried the step halves. Without a mixture inside the limits the opening is all there is.
    """
    tried = {_key(trial.coefficients) for trial in trials}
    if len(trials) >= plan.max_trials:
        return None
    for point in _opening(num_models):
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


def search(evaluate: Callable[[Coefficients], Metrics], goal: Goal, num_models: int, plan: SearchPlan) -> SearchOutcome:
    """Evaluate mixture after mixture as the plan asks, and choose."""
    trials: list[Trial] = []
    while (point := next_mixture(trials, goal, num_models, plan)) is not None:
        trials.append(Trial(point, evaluate(point)))
    return SearchOutcome(choose(trials, goal), tuple(trials))


def _opening(num_models: int) -> list[Coefficients]:
    equal = tuple(1.0 / num_models for _ in range(num_models))
    pure = [tuple(1.0 if place == model else 0.0 for place in range(num_models)) for model in range(num_models)]
    return [equal, *pure]


def _moves(point: Coefficients, step: float) -> list[Coefficients]:
    moves = []
    for giver, taker in permutations(range(len(point)), 2):
        moved = min(step, point[giver])
        if moved > 0.0:
            shifted = list(point)
            shifted[giver] -= moved
            shifted[taker] += moved
            moves.append(tuple(shifted))
    return moves


def _key(point: Coefficients) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in point)
