"""With the released options, the lane draws the songs that the released code drew, where nothing is left to chance."""

from typing import Any

import numpy as np
import pytest

from levo.model.conditions import Conditions
from levo.model.lelm import LeLM
from levo.model.sampling.lane import EncodedRequest, Lane, LengthClass
from levo.model.sampling.request import EndRule, SampledSong, SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel
from levo.model.tokenizer import ConditionEncoder
from levo.song.tokens import TokenGrid

PROMPTS = {"greedy": "full", "greedy_penalty": "full", "null_prompt": "null", "short_prompt": "short"}


@pytest.mark.parametrize("case", sorted(PROMPTS))
def test_greedy_songs_equal_the_released_ones(
    case: str, lelm_cases: dict[str, Any], parity_model: LeLM, parity_encoder: ConditionEncoder
) -> None:
    prompt = TokenGrid(lelm_cases[f"prompts/{PROMPTS[case]}"][0].numpy().astype(np.int32))
    parameters = SamplingParameters(
        temperature=lelm_cases[f"generate/{case}/temp"],
        top_k=lelm_cases[f"generate/{case}/top_k"],
        guidance=lelm_cases[f"generate/{case}/cfg_coef"],
        repetition_window=lelm_cases[f"generate/{case}/record_window"]
        if lelm_cases[f"generate/{case}/record_tokens"]
        else 0,
        ban_prompt_codes=True,
        end_rule=EndRule.EARLIEST,
        min_frames=0,
    )
    conditions = Conditions(lelm_cases["lyrics"], lelm_cases["style"], prompt)
    request = SamplingRequest(case, conditions, 0, lelm_cases[f"generate/{case}/max_gen_len"], parameters)
    tokens = parity_encoder.encode([conditions, conditions.null()], cut=True)
    encoded = EncodedRequest(request, tokens, parity_model.config.prefix_length)
    lane = Lane(
        LoadedModel(parity_model, parity_encoder, "parity"),
        LengthClass(num_rows=4, max_frames=30, max_prefix=parity_model.config.prefix_length, prefill_rows=4),
    )
    lane.admit([encoded])
    song = _finished(lane)
    assert song.tokens.codes.tolist() == lelm_cases[f"generate/{case}/tokens_cut"][0].tolist()


def _finished(lane: Lane) -> SampledSong:
    while True:
        for song in lane.step():
            return song
