"""A small world that sounds in seconds: two singers, three tempi, six words; its note bank outlives the run."""

import pytest

from pipelines.rendered.voice import Voice, open_voice
from pipelines.rendered.world import WorldConfig


@pytest.fixture(scope="session")
def small_world() -> WorldConfig:
    return WorldConfig(words=("moon", "star", "light", "rain", "dance", "joy"))


@pytest.fixture(scope="session")
def voice(small_world: WorldConfig, request: pytest.FixtureRequest) -> Voice:
    cache = request.config.cache
    assert cache is not None
    return open_voice(small_world, cache.mkdir("rendered-voice"))
