"""A codec small enough to fit in seconds, on rendered songs of a few words."""

import pytest

from levo.codec.accompaniment_stream import AccompanimentStreamConfig
from levo.codec.config import EmbeddedCodecConfig
from levo.codec.embedded import EmbeddedCodec
from levo.codec.mixed_stream import MixedStreamConfig
from levo.codec.semantic import SemanticConfig
from levo.codec.vocal_stream import VocalStreamConfig
from levo.song.labelled import LabelledSong
from pipelines.rendered.draw import render_training_songs
from pipelines.rendered.voice import open_voice
from pipelines.rendered.world import WorldConfig


@pytest.fixture(scope="session")
def codec_songs(request: pytest.FixtureRequest) -> list[LabelledSong]:
    """Ten songs to fit on and two to try on, of six words."""
    cache = request.config.cache
    assert cache is not None
    world = WorldConfig(words=("moon", "star", "light", "rain", "dance", "joy"))
    voice = open_voice(world, cache.mkdir("rendered-voice"))
    return render_training_songs(12, seed=0, voice=voice, purpose="codec-test")


@pytest.fixture(scope="session")
def small_config() -> EmbeddedCodecConfig:
    """Small codebooks, and a semantic encoder of a few steps."""
    return EmbeddedCodecConfig(
        code_size=128,
        vocal=VocalStreamConfig(num_codes=96),
        accompaniment=AccompanimentStreamConfig(num_codes=64),
        mixed=MixedStreamConfig(num_codes=128, semantic=SemanticConfig(width=48, num_steps=80)),
    )


@pytest.fixture(scope="session")
def small_codec(codec_songs: list[LabelledSong], small_config: EmbeddedCodecConfig) -> EmbeddedCodec:
    return EmbeddedCodec.fit(codec_songs[:10], seed=3, config=small_config)
