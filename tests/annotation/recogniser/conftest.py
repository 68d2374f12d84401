"""A recogniser small enough to train in seconds, on rendered songs of a few words."""

import pytest

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.network import NetworkConfig
from annotation.recogniser.training import RecogniserTrainingConfig, train_recogniser
from levo.song.labelled import LabelledSong
from pipelines.rendered.draw import render_training_songs
from pipelines.rendered.voice import Voice, open_voice
from pipelines.rendered.world import WorldConfig


@pytest.fixture(scope="session")
def small_voice(request: pytest.FixtureRequest) -> Voice:
    cache = request.config.cache
    assert cache is not None
    world = WorldConfig(words=("moon", "star", "light", "rain", "dance", "joy"))
    return open_voice(world, cache.mkdir("rendered-voice"))


@pytest.fixture(scope="session")
def small_lexicon(small_voice: Voice) -> Lexicon:
    return Lexicon(small_voice.lexicon)


@pytest.fixture(scope="session")
def heard_songs(small_voice: Voice) -> list[LabelledSong]:
    """Songs to train on."""
    return render_training_songs(24, seed=0, voice=small_voice, purpose="recogniser-test")


@pytest.fixture(scope="session")
def unheard_songs(small_voice: Voice) -> list[LabelledSong]:
    """Songs to try on."""
    return render_training_songs(6, seed=1, voice=small_voice, purpose="recogniser-test")


@pytest.fixture(scope="session")
def short_training() -> RecogniserTrainingConfig:
    """A narrow network and few steps; the songs' own mixtures stand for decoded ones."""
    return RecogniserTrainingConfig(
        network=NetworkConfig(width=64, num_bands=48), num_steps=160, max_piece_s=3.0, learning_rate=1e-2
    )


@pytest.fixture(scope="session")
def small_recogniser(
    heard_songs: list[LabelledSong], small_lexicon: Lexicon, short_training: RecogniserTrainingConfig
) -> CtcRecogniser:
    return train_recogniser(heard_songs, [song.mixture for song in heard_songs], small_lexicon, 3, short_training)
