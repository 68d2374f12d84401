"""The twin draws what the engine does where both take the likeliest code; the arms run on small sizes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.benchmarks.sampling import ARMS, SamplingSetting, loaded_model, prepared, twin_profile
from jobs.benchmarks.sampling_twin import SamplingTwin
from levo.model.conditions import Conditions
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SamplingRequest

SMALL = SamplingSetting(
    width=32,
    num_heads=2,
    inner_width=48,
    num_layers=2,
    num_decoder_layers=1,
    code_size=24,
    max_delay=2,
    num_frames=10,
    num_candidates=3,
)
SONG = Conditions("[verse] sun and moon.", "female, pop")


def test_the_twin_draws_the_engines_song_where_both_take_the_likeliest_codes(tmp_path: Path) -> None:
    loaded = loaded_model(SMALL, tmp_path, torch.float32)
    parameters = replace(SMALL.parameters, temperature=0.0)
    length = LengthClass(num_rows=2, max_frames=10, max_prefix=952, prefill_rows=2, rows_per_prefix=1)
    song = SamplingEngine(loaded, [length]).run([SamplingRequest("a", SONG, 1, 10, parameters)])[0]
    tokens = loaded.encoder.encode([SONG, SONG.null()])
    drawn = SamplingTwin(loaded.model).sample(tokens, parameters, 10, seed=1)
    assert drawn.tolist() == song.tokens.codes.tolist()


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_draws_its_songs(arm: str) -> None:
    assert prepared(arm, SMALL)() > 0


def test_the_twins_operations_are_told() -> None:
    assert "aten::cat" in twin_profile(SMALL, num_frames=3, num_lines=200)
