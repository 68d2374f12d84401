"""What was said of a sampled song, and a pair of songs of which one is preferred, with all that it rests on."""

from dataclasses import dataclass

from levo.song.scores import Axis, Score


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """A sampled song's judgements by metric name."""

    candidate_id: str
    prompt_id: str
    scores: dict[str, Score]


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two songs of one prompt of which the first is better on one axis, by more than the scorer's noise."""

    pair_id: str
    axis: Axis
    prompt_id: str
    chosen_id: str
    rejected_id: str
    metric: str
    chosen_score: float
    rejected_score: float
    gap: float
    scorer_noise: float
    margin: float
    scorer_digest: str
    model_digest: str
