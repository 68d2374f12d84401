"""Sampling on Ray Serve: a swap under load loses nothing, and every answer names exactly one of the two models."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from levo.model.conditions import Conditions
from levo.model.config import demo_config
from levo.model.construction import new_lelm
from levo.model.sampling.engine import RequestError, SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import ModelFolderError, load_model, save_model
from levo.model.tokenizer import build_tokenizer
from pipelines.loop.model_pointer import read_pointer, write_pointer
from pipelines.loop.serving import (
    SamplingService,
    ServingConfig,
    SongReplica,
    running_sampling,
    start_sampling,
    stop_sampling,
)

START_LIMIT_S = 180
CONFIG = ServingConfig(length_classes=(LengthClass(num_rows=8, max_frames=40, max_prefix=24),))


@dataclass(frozen=True, slots=True)
class Models:
    """Two model folders of one config, and their digests."""

    first: Path
    second: Path
    first_digest: str
    second_digest: str


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    config = demo_config(build_tokenizer(("sun", "moon"), folder / "tokenizer"))
    digests = [
        save_model(new_lelm(config, seed), folder / "tokenizer", folder / name)
        for seed, name in enumerate(("first", "second"))
    ]
    return Models(folder / "first", folder / "second", *digests)


@pytest.fixture(scope="module")
def service(
    local_ray: None, models: Models, tmp_path_factory: pytest.TempPathFactory, within: Callable[..., Any]
) -> Iterator[SamplingService]:
    pointer = tmp_path_factory.mktemp("serving") / "model"
    yield within(START_LIMIT_S, lambda: start_sampling(CONFIG, models.first, pointer))
    within(START_LIMIT_S, stop_sampling)


def requests_of(prefix: str, num_songs: int) -> list[SamplingRequest]:
    conditions = Conditions("[verse] sun moon.")
    return [SamplingRequest(f"{prefix}-{number}", conditions, number, 40) for number in range(num_songs)]


@pytest.mark.ray
def test_a_swap_under_load_loses_nothing_and_every_song_names_the_model_that_made_it(
    service: SamplingService, models: Models
) -> None:
    requests = requests_of("load", 48)
    songs: list[SampledSong] = []
    some_are_done = threading.Event()

    def notice(num_finished: int, num_requested: int) -> None:
        if num_finished >= num_requested // 6:
            some_are_done.set()

    client = threading.Thread(target=lambda: songs.extend(service.sample(requests, notice)))
    client.start()
    assert some_are_done.wait(timeout=120)
    assert service.swap_model(models.second) == models.second_digest
    client.join(timeout=120)
    assert [song.request_id for song in songs] == [request.request_id for request in requests]
    assert {song.model_digest for song in songs} == {models.first_digest, models.second_digest}
    for folder, digest in ((models.first, models.first_digest), (models.second, models.second_digest)):
        named = [request for request, song in zip(requests, songs, strict=True) if song.model_digest == digest]
        pure = SamplingEngine(load_model(folder), CONFIG.length_classes).run(named)
        served = {song.request_id: song.tokens.codes.tolist() for song in songs}
        assert all(song.tokens.codes.tolist() == served[song.request_id] for song in pure)


@pytest.mark.ray
def test_a_refused_request_says_why_and_the_service_goes_on(service: SamplingService) -> None:
    too_long = SamplingRequest("long", Conditions("[verse] sun."), 0, 900)
    with pytest.raises(RequestError, match="asks for 900 frames"):
        service.sample([too_long])
    with pytest.raises(RequestError, match="unknown structure tag"):
        service.sample([SamplingRequest("tag", Conditions("[vers] sun."), 0, 10)])
    assert len(service.sample(requests_of("after", 2))) == 2


@pytest.mark.ray
def test_a_model_that_cannot_be_swapped_in_leaves_the_one_that_runs(
    service: SamplingService, models: Models, tiny_model: Path, tmp_path: Path
) -> None:
    running = service.sample(requests_of("before", 1))[0].model_digest
    damaged = tmp_path / "damaged"
    shutil.copytree(models.first, damaged)
    (damaged / "model.safetensors").write_bytes(b"half")
    for folder, problem in (
        (tmp_path / "nowhere", "holds no model"),
        (tiny_model, "has another config than"),
        (damaged, "is damaged"),
    ):
        with pytest.raises(ModelFolderError, match=problem):
            service.swap_model(folder)
        assert read_pointer(service.pointer) in (models.first, models.second)
    assert service.sample(requests_of("after refusals", 1))[0].model_digest == running


@pytest.mark.ray
def test_a_service_that_was_left_running_is_found_and_goes_on(service: SamplingService) -> None:
    found = running_sampling(service.config, service.pointer)
    assert found is not None
    before, after = (one.sample(requests_of(name, 1))[0] for one, name in ((service, "left"), (found, "left again")))
    assert (after.model_digest, after.tokens.codes.tolist()) == (before.model_digest, before.tokens.codes.tolist())


def test_a_replica_that_lags_behind_follows_before_it_sings_for_a_new_model(models: Models, tmp_path: Path) -> None:
    pointer = tmp_path / "model"
    write_pointer(pointer, models.first)

    async def sung() -> list[str]:
        replica = SongReplica(CONFIG, pointer)
        write_pointer(pointer, models.second)
        digests = (None, models.second_digest, models.second_digest)
        requests = requests_of("lag", len(digests))
        return [
            (await replica.sample(request, digest)).model_digest
            for request, digest in zip(requests, digests, strict=True)
        ]

    assert asyncio.run(sung()) == [models.first_digest, models.second_digest, models.second_digest]


def test_the_pointer_names_a_folder_and_is_moved_whole(tmp_path: Path) -> None:
    pointer = tmp_path / "model"
    for name in ("a", "b"):
        write_pointer(pointer, tmp_path / name)
        assert read_pointer(pointer) == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
