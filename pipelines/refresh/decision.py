"""Whether a night's pairs are worth a training: a pure function from facts to a decision with its reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from scipy.special import bdtr

from levo.song.scores import Axis

_CHANCE = 0.05
"""How rarely so few votes may come of an agreement that is as it should be (the binomial distribution's lower tail)."""


@dataclass(frozen=True, slots=True)
class AxisFacts:
    """One preference's pairs after ageing: all, those that no training on this preference has seen, and tonight's.

    `num_candidates` are the songs that tonight's were made of. Of `judge_votes` of tonight's pairs a judge that made
    none of them prefers the same song on `judge_agreed`; both are 0 where it was not asked.
    """

    num_pairs: int
    num_new: int
    num_tonight: int
    num_candidates: int
    was_trained: bool = True
    """Whether this preference was trained on before."""
    judge_agreed: int = 0
    judge_votes: int = 0

    @property
    def pair_yield(self) -> float:
        """Tonight's pairs a candidate."""
        return self.num_tonight / self.num_candidates if self.num_candidates else 0.0


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """What is known when a night's pairs are there; `earlier_yields` are those of the nights before, by axis."""

    axes: Mapping[Axis, AxisFacts]
    nights_since_training: int | None
    """Since any preference was trained on; None where none was yet."""
    earlier_yields: Mapping[Axis, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """From when on a training pays."""

    min_pairs: int = 64
    """An axis with fewer pairs is not trained on."""
    min_new_share: float = 0.2
    """Share of an axis's pairs that are new."""
    min_nights: int = 1
    """Nights between trainings."""
    min_agreement: float = 0.55
    """Below it the judges that make pairs and those that made none disagree about what is better; a night's few votes
    must be too few for it by more than chance, at 5 %."""
    min_yield_share: float = 0.5
    """Of the median yield of the nights before; a sudden drop says that something broke."""

    def __post_init__(self) -> None:
        if self.min_pairs < 1 or self.min_nights < 0:
            raise ValueError(f"min_pairs is {self.min_pairs}, min_nights {self.min_nights}; expected >= 1 and >= 0")
        for name in ("min_new_share", "min_agreement", "min_yield_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a share between 0 and 1")


@dataclass(frozen=True, slots=True)
class Decision:
    """Which preferences are trained on (none: no training), and why; `alarms` are for a person, whatever is decided."""

    axes: tuple[Axis, ...]
    reasons: tuple[str, ...]
    alarms: tuple[str, ...] = ()

    @property
    def retrains(self) -> bool:
        """Whether there is a training."""
        return bool(self.axes)


def decide(facts: RefreshFacts, rules: DecisionRules | None = None) -> Decision:
    """Train on every axis that has pairs enough, new ones enough, and no sign that its pairs are wrong."""
    rules = rules or DecisionRules()
    alarms_of = {axis: _alarms(axis, found, facts, rules) for axis, found in facts.axes.items()}
    alarms = tuple(alarm for told in alarms_of.values() for alarm in told)
    nights = facts.nights_since_training
    if nights is not None and nights < rules.min_nights:
        return Decision((), (f"{nights} nights since the last training; expected {rules.min_nights} or more",), alarms)
    axes, reasons = [], []
    for axis, found in facts.axes.items():
        against = "its alarm" if alarms_of[axis] else _against(found, rules)
        if against is None:
            axes.append(axis)
        told = f"{found.num_new} new of {found.num_pairs} pairs"
        reasons.append(f"{axis.value}: {told}" + ("" if against is None else f"; not trained on: {against}"))
    return Decision(tuple(axes), tuple(reasons), alarms)


def _against(found: AxisFacts, rules: DecisionRules) -> str | None:
    if found.num_pairs < rules.min_pairs:
        return f"fewer than {rules.min_pairs} pairs"
    if found.was_trained and found.num_new < rules.min_new_share * found.num_pairs:
        return f"fewer than {rules.min_new_share:.0%} are new"
    return None


def _alarms(axis: Axis, found: AxisFacts, facts: RefreshFacts, rules: DecisionRules) -> list[str]:
    told = []
    agreed, votes = found.judge_agreed, found.judge_votes
    if votes and float(bdtr(agreed, votes, rules.min_agreement)) < _CHANCE:
        told.append(
            f"{axis.value}: judges that made no pair agree with {agreed} of {votes}, which is less than "
            f"{rules.min_agreement:.0%} beyond chance"
        )
    earlier = facts.earlier_yields.get(axis, ())
    usual = median(earlier) if earlier else 0.0
    if found.pair_yield < rules.min_yield_share * usual:
        told.append(f"{axis.value}: {found.pair_yield:.2f} pairs a candidate, {usual:.2f} in the nights before")
    return told
