"""Preference pairs from scored candidates: the best with the worst, then the next, wherever the gap is real.

A gap is real where it exceeds both the recipe's margin and a multiple of the scorer's own noise; all else is a tie.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from levo.song.candidate import PreferencePair, ScoredCandidate
from levo.song.digest import digest_json
from levo.song.scores import Axis, Metric
from reward.noise import ScorerNoise

TOO_FEW_SCORES = "fewer than two scored candidates"
TIE = "gap within the margin or the scorer's noise"


@dataclass(frozen=True, slots=True)
class PairingRule:
    """What makes a pair on one axis; `margin` is in the metric's unit.

    The noise of a gap between two songs is sqrt(2) times that of one score, so a `noise_multiple` of 2 asks for
    1.4 standard deviations of the gap.
    """

    axis: Axis
    metric: Metric
    margin: float
    noise_multiple: float = 2.0
    max_pairs_per_prompt: int = 2

    def __post_init__(self) -> None:
        if self.metric.judge != "training":
            raise ValueError(f"metric {self.metric.name} has a {self.metric.judge} judge; held-out judges make no pair")
        if self.margin < 0 or self.noise_multiple < 0:
            raise ValueError(f"margin {self.margin}, noise multiple {self.noise_multiple}; expected none below 0")
        if self.max_pairs_per_prompt < 1:
            raise ValueError(f"{self.max_pairs_per_prompt} pairs a prompt; expected at least 1")

    def threshold(self, noise: ScorerNoise) -> float:
        """The gap that a pair has to exceed."""
        return max(self.margin, self.noise_multiple * noise.standard_deviation)


@dataclass(frozen=True, slots=True)
class PairingReport:
    """Where the candidates went; `missing` and `prompts_without_pair` count by reason."""

    num_prompts: int
    num_candidates: int
    num_pairs: int
    num_ties: int
    missing: dict[str, int]
    prompts_without_pair: dict[str, int]
    threshold: float


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of one axis, sorted by prompt and widest gap first, with their report."""

    pairs: tuple[PreferencePair, ...]
    report: PairingReport


@dataclass(frozen=True, slots=True)
class _Ranked:
    candidate_id: str
    value: float


def make_pairs(
    candidates: Iterable[ScoredCandidate], rule: PairingRule, noise: ScorerNoise, model_digest: str
) -> Pairing:
    """Pair each prompt's candidates by one metric; the result does not depend on the candidates' order.

    Raises `ValueError` where a candidate appears twice or the noise belongs to another metric.
    """
    if noise.metric != rule.metric.name:
        raise ValueError(f"noise of metric {noise.metric!r} for a rule on {rule.metric.name!r}")
    by_prompt = _by_prompt(candidates)
    pairs: list[PreferencePair] = []
    missing: Counter[str] = Counter()
    without_pair: Counter[str] = Counter()
    num_ties = 0
    for prompt_id, group in by_prompt.items():
        missing.update(_missing_reasons(group, rule.metric))
        ranked = _ranked(group, rule.metric)
        attempts = [_pair(prompt_id, best, worst, rule, noise, model_digest) for best, worst in _nested(ranked, rule)]
        made = [pair for pair in attempts if pair is not None]
        pairs += made
        num_ties += len(attempts) - len(made)
        if not made:
            without_pair[TIE if attempts else TOO_FEW_SCORES] += 1
    num_candidates = sum(map(len, by_prompt.values()))
    report = PairingReport(
        len(by_prompt),
        num_candidates,
        len(pairs),
        num_ties,
        dict(sorted(missing.items())),
        dict(sorted(without_pair.items())),
        rule.threshold(noise),
    )
    return Pairing(tuple(pairs), report)


def _by_prompt(candidates: Iterable[ScoredCandidate]) -> dict[str, list[ScoredCandidate]]:
    groups: dict[str, list[ScoredCandidate]] = {}
    seen: set[str] = set()
    for candidate in sorted(candidates, key=lambda candidate: (candidate.prompt_id, candidate.candidate_id)):
        if candidate.candidate_id in seen:
            raise ValueError(f"candidate {candidate.candidate_id} is there twice; expected each once")
        seen.add(candidate.candidate_id)
        groups.setdefault(candidate.prompt_id, []).append(candidate)
    return groups


def _missing_reasons(group: Sequence[ScoredCandidate], metric: Metric) -> list[str]:
    found = [candidate.scores.get(metric.name) for candidate in group]
    return [
        "never scored" if score is None else str(score.missing)
        for score in found
        if score is None or score.value is None
    ]


def _ranked(group: Sequence[ScoredCandidate], metric: Metric) -> list[_Ranked]:
    """Best first; equal scores by id."""
    scored = [(candidate.candidate_id, candidate.scores.get(metric.name)) for candidate in group]
    known = [_Ranked(name, score.value) for name, score in scored if score is not None and score.value is not None]
    return sorted(known, key=lambda ranked: (-metric.gain(ranked.value), ranked.candidate_id))


def _nested(ranked: Sequence[_Ranked], rule: PairingRule) -> list[tuple[_Ranked, _Ranked]]:
    """Best and worst, second and second-worst, and so on inwards."""
    num_pairs = min(len(ranked) // 2, rule.max_pairs_per_prompt)
    return [(ranked[index], ranked[-1 - index]) for index in range(num_pairs)]


def _pair(
    prompt_id: str, best: _Ranked, worst: _Ranked, rule: PairingRule, noise: ScorerNoise, model_digest: str
) -> PreferencePair | None:
    gap = abs(best.value - worst.value)
    if not gap > rule.threshold(noise):
        return None
    origin = [rule.axis, prompt_id, best.candidate_id, worst.candidate_id, noise.scorer_digest, model_digest]
    return PreferencePair(
        pair_id=digest_json(origin)[:24],
        axis=rule.axis,
        prompt_id=prompt_id,
        chosen_id=best.candidate_id,
        rejected_id=worst.candidate_id,
        metric=rule.metric.name,
        chosen_score=best.value,
        rejected_score=worst.value,
        gap=gap,
        scorer_noise=noise.standard_deviation,
        margin=rule.margin,
        scorer_digest=noise.scorer_digest,
        model_digest=model_digest,
    )
