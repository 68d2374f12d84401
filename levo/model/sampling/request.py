"""What a song is asked for with, and what comes back."""

import math
from dataclasses import dataclass
from enum import StrEnum

from levo.model.conditions import Conditions
from levo.model.sampling.noise import MAX_SEED
from levo.song.tokens import TokenGrid


class EndRule(StrEnum):
    """Which end-of-song token ends a song: the mixed stream's alone, or the earliest of any stream (as released)."""

    MIXED = "mixed"
    EARLIEST = "earliest"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParameters:
    """How codes are drawn. Vocal and accompaniment take the likeliest code unless `sample_tracks`.

    A temperature of 0 takes the likeliest mixed code; `top_k` 0 draws from all codes, and so does `top_p` 0 or 1, which
    otherwise keeps the fewest likeliest codes that have that share of the probability together (arXiv 1904.09751);
    `guidance` 1 costs no second row; `repetition_window` 0 leaves repetition unpunished.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.0
    sample_tracks: bool = False
    guidance: float = 1.0
    repetition_window: int = 0
    repetition_penalty: float = 1.1
    ban_prompt_codes: bool = False
    end_rule: EndRule = EndRule.MIXED
    min_frames: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "end_rule", EndRule(self.end_rule))
        for name in (
            "temperature",
            "guidance",
            "repetition_penalty",
            "top_k",
            "top_p",
            "repetition_window",
            "min_frames",
        ):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} is {value}; expected a finite number of at least 0")
        if self.top_p > 1:
            raise ValueError(f"top_p is {self.top_p}; expected a share of the probability, from 0 to 1")
        if self.repetition_penalty == 0:
            raise ValueError("repetition_penalty is 0; logits are divided by it, 1 leaves them alone")


RELEASED_PARAMETERS = SamplingParameters(
    temperature=0.8,
    top_k=5000,
    guidance=1.5,
    repetition_window=50,
    ban_prompt_codes=True,
    end_rule=EndRule.EARLIEST,
    min_frames=0,
)


@dataclass(frozen=True, slots=True, eq=False)
class SamplingRequest:
    """One song to draw; the same seed, conditions, parameters and length class give the same song."""

    request_id: str
    conditions: Conditions
    seed: int
    max_frames: int
    parameters: SamplingParameters = SamplingParameters()

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise ValueError(f"request {self.request_id}: seed is {self.seed}; expected 0 to {MAX_SEED}")
        if self.max_frames < 1:
            raise ValueError(f"request {self.request_id}: max_frames is {self.max_frames}; expected at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class SampledSong:
    """A drawn song; all of its tokens were made by the weights that `model_digest` names.

    `ended` tells that the model ended it (rather than the request's length), `interrupted` that it was cancelled.
    """

    request_id: str
    seed: int
    tokens: TokenGrid
    ended: bool
    model_digest: str
    interrupted: bool = False
