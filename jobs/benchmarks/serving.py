"""Replicas killed and models swapped under load: whether every request is answered once, by one model's weights alone.

Requests come by the handle's client and over HTTP. A song is a pure function of its model and its seed, so each answer
is held, token for token, against the song that a fresh engine in this process draws with the model that it names.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import ray
import torch
from ray import serve
from ray.util import list_named_actors

from jobs.benchmarks.small_models import NoSound, small_models
from levo.model.conditions import Conditions
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SampledSong, SamplingParameters, SamplingRequest
from levo.model.store import load_config, load_model, model_digest
from pipelines.generation.endpoint import EndpointSinger
from pipelines.generation.in_process import SingingConfig
from pipelines.generation.singer import Asked
from pipelines.loop.following import FollowedPointer
from pipelines.loop.http_serving import APPLICATION, Address, HttpConfig, SongFront, start_http, stop_http
from pipelines.loop.model_pointer import write_pointer
from pipelines.loop.serving import SamplingService, ServingConfig, SongReplica
from pipelines.loop.song_orders import OrderTaker

SWAP, KILL_REPLICA, KILL_FRONT = "weights swapped", "replica killed", "front killed"
HANDLE, HTTP = "handle", "HTTP"
_LENGTH = LengthClass(num_rows=8, max_frames=32, max_prefix=40)
_PARAMETERS = SamplingParameters(temperature=1.0)
_CONDITIONS = Conditions("[verse] sun moon rain.")
_HTTP_CLIENTS, _HTTP_ROUND = 4, 24
_HANDLE_PAUSE_S = 0.01
"""Between requests by the handle: every answer is drawn again to compare, on the same processors."""
_FIRST_HTTP_SEED = 1_000_000_000
_READY_LIMIT_S, _LONGEST_PAUSE_S = 180.0, 2.0


@dataclass(frozen=True, slots=True)
class ServingTrialConfig:
    """How often what is done to a service of so many replicas, in an order and at moments that the seed decides."""

    num_replicas: int = 2
    num_swaps: int = 12
    num_replica_kills: int = 10
    num_front_kills: int = 2
    num_models: int = 3
    seed: int = 0

    @property
    def faults(self) -> list[str]:
        """What happens, in order."""
        numbers = {SWAP: self.num_swaps, KILL_REPLICA: self.num_replica_kills, KILL_FRONT: self.num_front_kills}
        faults = [fault for fault, number in numbers.items() for _ in range(number)]
        random.Random(self.seed).shuffle(faults)
        return faults


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of the requests that were made in one way."""

    way: str
    num_asked: int
    num_answered: int
    num_lost: int
    num_doubled: int
    num_mixed: int
    num_unknown_models: int


@dataclass(frozen=True, slots=True)
class ServingTrial:
    """The whole trial; `num_asked_again` counts answers that died with their replica and were had from another."""

    faults: Mapping[str, int]
    ways: tuple[Answered, ...]
    songs_by_model: Mapping[str, int]
    num_asked_again: int
    wall_s: float

    @property
    def is_clean(self) -> bool:
        """Whether every request was answered exactly once, by one model."""
        return all(
            (way.num_lost, way.num_doubled, way.num_mixed, way.num_unknown_models) == (0, 0, 0, 0)
            and way.num_answered == way.num_asked
            for way in self.ways
        )


@dataclass(slots=True)
class Answers:
    """Names asked for with their seeds, and what was answered, in the order in which it came."""

    seeds: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[str, SampledSong | str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _CountedService(SamplingService):
    """The handle's client, and the answers that it lost."""

    lost: list[str] = field(default_factory=list)

    def ask(self, model_digest: str | None, request: SamplingRequest, num_lost: int) -> Any:
        """Send, and count."""
        if num_lost:
            self.lost.append(request.request_id)
        return SamplingService.ask(self, model_digest, request, num_lost)


def serving_trial(
    config: ServingTrialConfig, folder: Path, address: Address, progress: Callable[[str], None] = lambda _text: None
) -> ServingTrial:
    """Run the trial on the Ray that is open, with small models of its own in `folder`."""
    models = small_models(folder / "models", config.num_models)
    champion = folder / "champion"
    write_pointer(champion, models[0])
    serving = ServingConfig(length_classes=(_LENGTH,), num_replicas=config.num_replicas, health_check_period_s=0.5)
    shape = load_config(models[0])
    orders = OrderTaker({}, _PARAMETERS, _LENGTH.max_frames, shape.code_size, shape.max_prompt_frames)
    http = HttpConfig(folder / "models", folder / "pointer", orders, NoSound, followed=FollowedPointer(champion))
    begun = time.perf_counter()
    service = _CountedService(start_http(serving, http, models[0], address), serving, http.pointer)
    try:
        by_handle, over_http = _under_load(config, service, address, models, champion, progress)
    finally:
        stop_http()
    wall_s = time.perf_counter() - begun
    songs = Counter(
        song.model_digest
        for found in (by_handle, over_http)
        for _, song in found.answers
        if isinstance(song, SampledSong)
    )
    ways = tuple(judged(way, found, models) for way, found in ((HANDLE, by_handle), (HTTP, over_http)))
    return ServingTrial(Counter(config.faults), ways, dict(songs), len(service.lost), wall_s)


def judged(way: str, found: Answers, models: Sequence[Path]) -> Answered:
    """Count what is missing, doubled, or not the song that the model which it names draws for its seed."""
    folders = {model_digest(folder): folder for folder in models}
    songs = [(name, song) for name, song in found.answers if isinstance(song, SampledSong) and not song.interrupted]
    times = Counter(name for name, _ in songs)
    num_mixed = 0
    for digest, folder in folders.items():
        mine = [(name, song) for name, song in songs if song.model_digest == digest]
        expected = drawn(folder, sorted({found.seeds[name] for name, _ in mine}))
        num_mixed += sum(
            song.seed != found.seeds[name] or song.tokens.codes.tolist() != expected[found.seeds[name]]
            for name, song in mine
        )
    return Answered(
        way=way,
        num_asked=len(found.seeds),
        num_answered=len(songs),
        num_lost=len(found.seeds.keys() - times.keys()),
        num_doubled=sum(number - 1 for number in times.values()),
        num_mixed=num_mixed,
        num_unknown_models=sum(song.model_digest not in folders for _, song in songs),
    )


def drawn(model: Path, seeds: Sequence[int]) -> dict[int, list[list[int]]]:
    """Each seed's song by a fresh engine of the service's shapes."""
    torch.set_num_threads(1)
    engine = SamplingEngine(load_model(model), (_LENGTH,))
    songs = engine.run([_request(str(seed), seed) for seed in seeds])
    return {song.seed: song.tokens.codes.tolist() for song in songs}


def _request(name: str, seed: int) -> SamplingRequest:
    return SamplingRequest(name, _CONDITIONS, seed, _LENGTH.max_frames, _PARAMETERS)


def _under_load(
    config: ServingTrialConfig,
    service: SamplingService,
    address: Address,
    models: Sequence[Path],
    champion: Path,
    progress: Callable[[str], None],
) -> tuple[Answers, Answers]:
    is_over = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        by_handle = pool.submit(_ask_by_handle, service, is_over)
        over_http = pool.submit(_ask_over_http, address, is_over)
        try:
            _do_faults(config, models, champion, progress)
        finally:
            is_over.set()
        return by_handle.result(), over_http.result()


def _ask_by_handle(service: SamplingService, is_over: threading.Event) -> Answers:
    found = Answers()

    def requests() -> Iterator[SamplingRequest]:
        for seed in count():
            if is_over.is_set():
                return
            time.sleep(_HANDLE_PAUSE_S)
            found.seeds[f"handle-{seed}"] = seed
            yield _request(f"handle-{seed}", seed)

    found.answers.extend((song.request_id, song) for song in service.songs(requests()))
    return found


def _ask_over_http(address: Address, is_over: threading.Event) -> Answers:
    singer = EndpointSinger(address.url, SingingConfig(rows=_HTTP_CLIENTS), pause_s=3.0)
    found = Answers()
    for first in count(_FIRST_HTTP_SEED, _HTTP_ROUND):
        if is_over.is_set():
            return found
        asked = [Asked(f"http-{seed}", _CONDITIONS, seed) for seed in range(first, first + _HTTP_ROUND)]
        found.seeds |= {one.idx: one.seed for one in asked}
        found.answers.extend(singer.sing(asked))
    raise AssertionError


def _do_faults(
    config: ServingTrialConfig, models: Sequence[Path], champion: Path, progress: Callable[[str], None]
) -> None:
    generator = random.Random(config.seed + 1)
    running = 0
    for fault in config.faults:
        time.sleep(generator.uniform(0, _LONGEST_PAUSE_S))
        if fault == SWAP:
            running = (running + generator.randrange(1, len(models))) % len(models)
            write_pointer(champion, models[running])
        else:
            # One at a time, or there may be nobody left to ask.
            _wait_until_ready(config.num_replicas)
            time.sleep(generator.uniform(0, _LONGEST_PAUSE_S))
            _kill(SongReplica.__name__ if fault == KILL_REPLICA else SongFront.__name__, generator)
        progress(fault)
    _wait_until_ready(config.num_replicas)


def _kill(deployment: str, generator: random.Random) -> None:
    prefix = f"SERVE_REPLICA::{APPLICATION}#{deployment}#"
    names = sorted(one["name"] for one in list_named_actors(all_namespaces=True) if one["name"].startswith(prefix))
    ray.kill(ray.get_actor(generator.choice(names), namespace="serve"))


def _wait_until_ready(num_replicas: int) -> None:
    wanted = {SongReplica.__name__: num_replicas, SongFront.__name__: 1}
    end = time.monotonic() + _READY_LIMIT_S
    while time.monotonic() < end:
        deployments = serve.status().applications[APPLICATION].deployments
        states = {name: dict(deployments[name].replica_states) for name in wanted}
        if all(states[name] == {"RUNNING": number} for name, number in wanted.items()):
            return
        time.sleep(0.2)
    raise TimeoutError(f"replicas are {states} after {_READY_LIMIT_S:g} s; expected {wanted} to run")
