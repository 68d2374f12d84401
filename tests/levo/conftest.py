"""A LeLM of a few thousand weights and songs to train it on, for the tests of training and alignment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.model.config import demo_config
from levo.model.lelm import new_lelm
from levo.model.store import save_model
from levo.model.tokenizer import build_tokenizer
from levo.training.examples import ExampleStore, TrainingExample, write_examples

WORDS = ("sun", "moon", "rain", "wind", "stone", "light")
NUM_CODES = 24


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: width 32, 2 + 1 layers, 24 codes, freshly initialised."""
    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = build_tokenizer(WORDS, folder / "tokenizer")
    config = replace(
        demo_config(vocabulary),
        width=32,
        num_heads=2,
        feed_forward_width=48,
        num_layers=2,
        num_decoder_layers=1,
        code_size=NUM_CODES,
        max_positions=160,
        max_decoder_positions=160,
        max_lyrics_tokens=16,
        max_description_tokens=8,
        max_prompt_frames=6,
    )
    save_model(new_lelm(config, seed=0), folder / "tokenizer", folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def make_song() -> Callable[[int], TrainingExample]:
    """A song by number: 9 to 20 frames that repeat a motif of its own; every third has no audio prompt."""

    def make(number: int) -> TrainingExample:
        generator = np.random.default_rng(number)
        num_frames = int(generator.integers(9, 21))
        motif = generator.integers(0, NUM_CODES, (3, 3)).astype(np.int32)
        words = generator.choice(WORDS, 3)
        return TrainingExample(
            example_id=f"song-{number}",
            codes=np.tile(motif, num_frames // 3 + 1)[:, :num_frames],
            lyrics=f"[verse] {' '.join(words)}.",
            description=f"{words[0]}, {words[1]}",
            audio_prompt=None if number % 3 == 0 else generator.integers(0, NUM_CODES, (3, 6)).astype(np.int32),
        )

    return make


@pytest.fixture(scope="session")
def song_store(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[[int], TrainingExample]) -> ExampleStore:
    """Sixteen songs."""
    return write_examples((make_song(number) for number in range(16)), tmp_path_factory.mktemp("store") / "songs")
