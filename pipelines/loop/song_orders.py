"""What may be asked for over HTTP: an order of songs, checked field by field, as sampling requests."""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Int32
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from levo.model.conditions import Conditions
from levo.model.sampling.noise import MAX_SEED
from levo.model.sampling.request import SamplingParameters, SamplingRequest
from levo.model.tokenizer import DESCRIPTION_TAGS
from levo.song.arrays import Array
from levo.song.description import parse_description
from levo.song.lyrics import LyricsError, parse_lyrics
from levo.song.tokens import FRAME_RATE_HZ, NUM_STREAMS, TokenGrid

MAX_CANDIDATES = 16
_SEED_BITS = 48
_SHOWN = 80


class SongOrder(BaseModel):
    """Songs of one prompt; what is left out is as the service's recipe has it, a seed is drawn.

    `lyrics` are in the released format, `description` is comma-separated tags; `audio_prompt` names a stored prompt,
    `prompt_codes` are a prompt's own codes, a list a stream.
    Candidate n is drawn with the seed + n, so that each can be asked for again alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    lyrics: str = Field(max_length=20_000)
    description: str = Field("", max_length=2_000)
    audio_prompt: str | None = None
    prompt_codes: list[list[int]] | None = None
    candidates: int = Field(1, ge=1, le=MAX_CANDIDATES)
    seed: int | None = Field(None, ge=0, le=MAX_SEED - MAX_CANDIDATES)
    max_duration_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    temperature: float | None = Field(None, ge=0, le=100, allow_inf_nan=False)
    top_k: int | None = Field(None, ge=0)
    top_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    guidance: float | None = Field(None, ge=0, le=100, allow_inf_nan=False)
    audio: Literal["wav", "mp3"] | None = None

    @field_validator("lyrics")
    @classmethod
    def _is_in_the_format(cls, lyrics: str) -> str:
        parse_lyrics(lyrics)
        return lyrics

    @field_validator("description")
    @classmethod
    def _has_known_tags(cls, description: str) -> str:
        unknown = [tag for tag in parse_description(description).tags if "[" in tag or "]" in tag]
        if unknown:
            known = ", ".join(DESCRIPTION_TAGS)
            raise ValueError(f"unknown tag {unknown[0]!r}; expected plain words between commas, or one of {known}")
        return description


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with a field of an order; line and column count from 1, in lyrics or in a body that is no JSON."""

    field: str | None
    problem: str
    line: int | None = None
    column: int | None = None


class OrderError(ValueError):
    """An order that cannot be taken; it carries the problem of every field."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{one.field}: {one.problem}" for one in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class OrderTaker:
    """What the service knows beside the model: stored audio prompts, the recipe's parameters, its longest song."""

    audio_prompts: Mapping[str, Int32[Array, "stream frame"]]
    parameters: SamplingParameters
    max_frames: int
    code_size: int
    max_prompt_frames: int

    def order_of(self, body: Any) -> SongOrder:
        """The order that a parsed body holds; raises `OrderError` with every field that is wrong."""
        try:
            order = SongOrder.model_validate(body)
        except ValidationError as error:
            raise OrderError(*(_problem(one) for one in error.errors())) from None
        if order.audio_prompt is not None and order.audio_prompt not in self.audio_prompts:
            problem = f"no stored prompt {order.audio_prompt!r}; GET /prompts lists {len(self.audio_prompts)} of them"
            raise OrderError(FieldProblem("audio_prompt", problem))
        if order.prompt_codes is not None:
            self._check_codes(order)
        longest_s = self.max_frames / FRAME_RATE_HZ
        if order.max_duration_s is not None and not 1 / FRAME_RATE_HZ <= order.max_duration_s <= longest_s:
            problem = f"{order.max_duration_s:g} s; expected {1 / FRAME_RATE_HZ:g} to {longest_s:g} s"
            raise OrderError(FieldProblem("max_duration_s", problem))
        return order

    def _check_codes(self, order: SongOrder) -> None:
        codes = order.prompt_codes or []
        lengths = {len(stream) for stream in codes}
        if order.audio_prompt is not None:
            problem = "given beside audio_prompt; expected one of the two"
        elif len(codes) != NUM_STREAMS or len(lengths) != 1 or lengths == {0}:
            problem = (
                f"lists of {sorted(lengths)} codes; expected {NUM_STREAMS} of one length, mixed, vocal, accompaniment"
            )
        elif not all(0 <= code < self.code_size for stream in codes for code in stream):
            problem = f"codes outside 0 to {self.code_size - 1}"
        else:
            return
        raise OrderError(FieldProblem("prompt_codes", problem))

    def requests_of(self, order: SongOrder) -> list[SamplingRequest]:
        """One request a candidate, under names that no other order has."""
        name = uuid.uuid4().hex
        seed = secrets.randbits(_SEED_BITS) if order.seed is None else order.seed
        seconds = order.max_duration_s
        num_frames = self.max_frames if seconds is None else int(seconds * FRAME_RATE_HZ)
        prompt = None if order.audio_prompt is None else TokenGrid(self.audio_prompts[order.audio_prompt])
        if order.prompt_codes is not None:
            prompt = TokenGrid(np.array(order.prompt_codes, dtype=np.int32)).window(0, self.max_prompt_frames)
        description = parse_description(order.description).text if order.description.strip() else None
        conditions = Conditions(order.lyrics, description, prompt)
        asked = {name: getattr(order, name) for name in ("temperature", "top_k", "top_p", "guidance")}
        parameters = replace(self.parameters, **{name: value for name, value in asked.items() if value is not None})
        return [
            SamplingRequest(f"{name}/{number}", conditions, seed + number, num_frames, parameters)
            for number in range(order.candidates)
        ]


def _problem(error: Any) -> FieldProblem:
    field = ".".join(str(part) for part in error["loc"]) or None
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, LyricsError):
        return FieldProblem(field, cause.problem, cause.line, cause.column)
    return FieldProblem(field, str(cause) if cause else f"{error['msg']}; got {str(error['input'])[:_SHOWN]!r}")
