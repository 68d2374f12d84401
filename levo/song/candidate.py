"""A sampled song, and a pair of them of which one is preferred, with all that tells where they came from."""

from dataclasses import dataclass

from levo.song.scores import Axis, Score
from levo.song.tokens import TokenGrid


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One song drawn for a prompt; `model_digest` names the weights that made every token of it."""

    candidate_id: str
    prompt_id: str
    seed: int
    model_digest: str
    tokens: TokenGrid
    ended: bool


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """A candidate's judgements by metric name."""

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
