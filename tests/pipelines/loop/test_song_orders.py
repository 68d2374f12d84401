"""Orders over HTTP: every wrong field is named, and a right order is the requests that it says."""

import json
from typing import Any

import numpy as np
import pytest

from levo.model.sampling.noise import MAX_SEED
from levo.model.sampling.request import SamplingParameters
from pipelines.loop.song_orders import FieldProblem, OrderError, OrderTaker

PROMPT = np.arange(18, dtype=np.int32).reshape(3, 6)
TAKER = OrderTaker(
    {"prompt-1": PROMPT},
    SamplingParameters(temperature=0.7, top_k=5),
    max_frames=100,
    code_size=24,
    max_prompt_frames=6,
)
RIGHT: dict[str, Any] = {"lyrics": "[verse] sun and moon."}


def problems_of(body: Any) -> tuple[FieldProblem, ...]:
    with pytest.raises(OrderError) as refusal:
        TAKER.order_of(body)
    return refusal.value.problems


WRONG: dict[str, tuple[Any, str | None, str]] = {
    "no object": (["[verse] sun."], None, "valid dictionary"),
    "no lyrics": ({}, "lyrics", "Field required"),
    "lyrics that are no text": ({"lyrics": 3}, "lyrics", "valid string; got '3'"),
    "lyrics without end": ({"lyrics": "[verse] " + "sun " * 10_000}, "lyrics", "at most 20000 characters"),
    "an unknown field": (RIGHT | {"lyric": "x"}, "lyric", "not permitted"),
    "an unknown tag": (RIGHT | {"description": "dark, [foo]"}, "description", r"unknown tag '\[foo\]'"),
    "a negative seed": (RIGHT | {"seed": -1}, "seed", "got '-1'"),
    "a seed beyond the noise's": (RIGHT | {"seed": MAX_SEED}, "seed", "less than or equal"),
    "a seed that is half": (RIGHT | {"seed": 0.5}, "seed", "valid integer"),
    "no candidate": (RIGHT | {"candidates": 0}, "candidates", "greater than or equal to 1"),
    "too many candidates": (RIGHT | {"candidates": 17}, "candidates", "less than or equal to 16"),
    "a hot temperature": (RIGHT | {"temperature": "hot"}, "temperature", "valid number; got 'hot'"),
    "an endless temperature": (RIGHT | {"temperature": float("inf")}, "temperature", "got 'inf'"),
    "guidance that is no number": (RIGHT | {"guidance": float("nan")}, "guidance", "got 'nan'"),
    "a negative top-k": (RIGHT | {"top_k": -5}, "top_k", "got '-5'"),
    "no time": (RIGHT | {"max_duration_s": 0}, "max_duration_s", "greater than 0"),
    "less than a frame": (RIGHT | {"max_duration_s": 0.01}, "max_duration_s", r"expected 0\.04 to 4 s"),
    "a song that is too long": (RIGHT | {"max_duration_s": 4.1}, "max_duration_s", r"4\.1 s; expected 0\.04 to 4 s"),
    "a prompt that is not stored": (RIGHT | {"audio_prompt": "x"}, "audio_prompt", "no stored prompt 'x'"),
    "another kind of sound": (RIGHT | {"audio": "flac"}, "audio", "'wav' or 'mp3'; got 'flac'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_named_with_what_is_right(name: str) -> None:
    body, field, problem = WRONG[name]
    (found,) = problems_of(body)
    assert found.field == field
    with pytest.raises(ValueError, match=problem):
        raise ValueError(found.problem)


def test_wrong_lyrics_are_named_with_line_and_column() -> None:
    lyrics = "[verse] sun. ;\n[intro-short] words"
    (found,) = problems_of({"lyrics": lyrics})
    assert (found.field, found.line, found.column) == ("lyrics", 2, 15)
    assert "text 'words' in [intro-short], which is instrumental" in found.problem
    (found,) = problems_of({"lyrics": "[verse] sun. ; [vers] moon."})
    assert (found.line, found.column) == (1, 16)
    assert "unknown structure tag '[vers]'" in found.problem


def test_all_wrong_fields_are_named_at_once() -> None:
    found = problems_of({"lyrics": "", "seed": "x", "top_k": 1.5})
    assert {problem.field for problem in found} == {"lyrics", "seed", "top_k"}
    assert json.loads(json.dumps([problem.problem for problem in found]))


def test_what_is_left_out_is_as_the_recipe_has_it() -> None:
    (request,) = TAKER.requests_of(TAKER.order_of(RIGHT))
    assert request.parameters == SamplingParameters(temperature=0.7, top_k=5)
    assert request.max_frames == 100
    assert request.conditions.lyrics == RIGHT["lyrics"]
    assert request.conditions.description is None
    assert request.conditions.audio_prompt is None
    seeds = {TAKER.requests_of(TAKER.order_of(RIGHT))[0].seed for _ in range(20)}
    assert len(seeds) == 20


def test_an_order_is_the_requests_that_it_says() -> None:
    order = TAKER.order_of(
        RIGHT
        | {
            "description": "[Musicality-high], Female, DARK.",
            "audio_prompt": "prompt-1",
            "candidates": 3,
            "seed": 7,
            "max_duration_s": 2,
            "temperature": 0,
            "top_k": 0,
            "guidance": 1.5,
        }
    )
    requests = TAKER.requests_of(order)
    assert [request.seed for request in requests] == [7, 8, 9]
    assert len({request.request_id for request in [*requests, *TAKER.requests_of(order)]}) == 6
    for request in requests:
        assert request.max_frames == 50
        assert request.conditions.description == "[Musicality-high], female, dark."
        assert request.conditions.audio_prompt is not None
        assert np.array_equal(request.conditions.audio_prompt.codes, PROMPT)
        assert request.parameters == SamplingParameters(temperature=0.0, top_k=0, guidance=1.5)
