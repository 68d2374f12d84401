"""A small model with sharp opinions, and requests for it that differ in every way."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from levo.model.conditions import Conditions
from levo.model.config import LeLMConfig, demo_config
from levo.model.construction import new_lelm
from levo.model.sampling.request import SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel
from levo.model.tokenizer import ConditionEncoder, build_tokenizer
from levo.song.tokens import TokenGrid

WORDS = ("sun", "moon", "rain", "day", "female", "dark")


@pytest.fixture(scope="session")
def small_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(WORDS, folder)
    return folder


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> LeLMConfig:
    config = demo_config(build_tokenizer(WORDS, tmp_path_factory.mktemp("vocabulary")))
    return replace(config, num_layers=2, num_decoder_layers=1)


def loaded_model(config: LeLMConfig, tokenizer: Path, seed: int) -> LoadedModel:
    model = new_lelm(config, seed).eval()
    with torch.no_grad():
        for head in (model.transformer.lm_head, *model.linears):
            head.weight *= 20
    return LoadedModel(model, ConditionEncoder(tokenizer, config), f"digest-{seed}")


@pytest.fixture(scope="session")
def loaded(small_config: LeLMConfig, small_tokenizer: Path) -> LoadedModel:
    return loaded_model(small_config, small_tokenizer, 0)


@pytest.fixture(scope="session")
def other_loaded(small_config: LeLMConfig, small_tokenizer: Path) -> LoadedModel:
    return loaded_model(small_config, small_tokenizer, 1)


@pytest.fixture(scope="session")
def make_request() -> Callable[[int], SamplingRequest]:
    return some_request


def some_request(number: int) -> SamplingRequest:
    """A request that depends on its number alone."""
    draw = random.Random(number)
    codes = np.random.default_rng(number).integers(0, 512, (3, 12)).astype(np.int32)
    parameters = SamplingParameters(
        temperature=draw.choice([0.0, 0.5, 0.8, 1.0]),
        top_k=draw.choice([0, 5, 50]),
        sample_tracks=draw.random() < 0.5,
        guidance=draw.choice([1.0, 1.0, 1.5]),
        repetition_window=draw.choice([0, 4, 10]),
        ban_prompt_codes=draw.random() < 0.3,
        end_rule=draw.choice(["mixed", "mixed", "earliest"]),  # type: ignore[arg-type]
    )
    lyrics = f"[verse] {' '.join(draw.choices(WORDS, k=draw.randint(1, 8)))}."
    conditions = Conditions(lyrics, draw.choice([None, "female, dark."]), draw.choice([None, TokenGrid(codes)]))
    return SamplingRequest(f"song-{number}", conditions, draw.randrange(2**63), draw.randint(3, 14), parameters)
