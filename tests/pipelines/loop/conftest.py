"""A LeLM of a few thousand weights, songs and pairs to train it on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from levo.alignment.pairs import PairExample, write_pairs
from levo.model.config import demo_config
from levo.model.lelm import new_lelm
from levo.model.store import save_model
from levo.model.tokenizer import build_tokenizer
from levo.training.examples import TrainingExample, write_examples
from levo.training.phases import NO_DROPOUT, PhaseConfig, Stage

_WORDS = ("sun", "moon", "rain", "wind")
_NUM_CODES = 24


@dataclass(frozen=True)
class TinyTraining:
    """Folders of a model, of songs and of pairs, and the three stages over them."""

    model: Path
    songs: Path
    pairs: Path

    @property
    def phases(self) -> list[PhaseConfig]:
        """Pre-training, extension, DPO: each goes on from the one before."""
        pretrain = PhaseConfig(
            name="pretrain",
            stage=Stage.PRETRAIN,
            data=self.songs,
            num_steps=8,
            batch_rows=8,
            micro_batches=2,
            learning_rate=3e-3,
            warmup_steps=2,
            seed=1,
            init_model=self.model,
            log_every=1,
            checkpoint_every=3,
        )
        extend = replace(pretrain, name="extend", stage=Stage.EXTEND, init_model=None)
        dpo = replace(
            extend, name="dpo", stage=Stage.DPO, data=self.pairs, dropout=NO_DROPOUT, num_steps=4, learning_rate=1e-4
        )
        return [pretrain, extend, dpo]


@pytest.fixture(scope="session")
def tiny_training(tmp_path_factory: pytest.TempPathFactory) -> TinyTraining:
    folder = tmp_path_factory.mktemp("tiny-training")
    vocabulary = build_tokenizer(_WORDS, folder / "tokenizer")
    config = replace(
        demo_config(vocabulary),
        width=32,
        num_heads=2,
        feed_forward_width=48,
        num_layers=2,
        num_decoder_layers=1,
        code_size=_NUM_CODES,
        max_positions=160,
        max_decoder_positions=160,
        max_lyrics_tokens=16,
        max_description_tokens=8,
        max_prompt_frames=6,
    )
    save_model(new_lelm(config, seed=0), folder / "tokenizer", folder / "model")
    generator = np.random.default_rng(0)

    def codes(num_frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
        return generator.integers(0, _NUM_CODES, (3, num_frames)).astype(np.int32)

    songs = [
        TrainingExample(f"song-{number}", codes(9 + number % 5), "[verse] sun moon.", "rain, wind", codes(6))
        for number in range(16)
    ]
    pairs = [
        PairExample(f"pair-{number}", "[verse] moon.", "wind", codes(6), codes(10), codes(8 + number))
        for number in range(8)
    ]
    write_examples(songs, folder / "songs")
    write_pairs(pairs, folder / "pairs")
    return TinyTraining(folder / "model", folder / "songs", folder / "pairs")
