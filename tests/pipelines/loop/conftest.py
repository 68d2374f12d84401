"""Songs and pairs to train the tiny model on, and the three stages over them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from levo.alignment.pairs import PairExample, write_pairs
from levo.training.examples import TrainingExample, write_examples
from levo.training.phases import NO_DROPOUT, PhaseConfig, Stage

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
def tiny_training(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyTraining:
    folder = tmp_path_factory.mktemp("tiny-training")
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
    return TinyTraining(tiny_model, folder / "songs", folder / "pairs")
