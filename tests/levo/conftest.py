"""Songs to train the tiny model on, for the tests of training and alignment."""

from collections.abc import Callable

import numpy as np
import pytest

from levo.training.examples import ExampleStore, TrainingExample, write_examples

WORDS = ("sun", "moon", "rain", "wind", "stone", "light")
NUM_CODES = 24


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
