"""Songs on Ray Serve: replicas that own an engine loop each, models swapped in place, a client that keeps them busy.

Which model the replicas run is written in a pointer file. A replica reads it when it starts, when it is told to, and
with every health check, so that all replicas follow, and one that is restarted does not fall back to an older model.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ray import serve
from ray.exceptions import RayError
from ray.serve import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.loop import EngineLoop
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import ModelFolderError, load_config, load_model
from pipelines.loop.applications import run_application, stop_application
from pipelines.loop.asking import answers_in_order
from pipelines.loop.model_pointer import read_pointer, write_pointer

APPLICATION = "levo-sampling"
"""Of a run's own sampling; a night of the refresh has one of its own name, and so has the service over HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """What a sampling service runs with; `max_requests` bounds the songs that one replica has in hand."""

    length_classes: tuple[LengthClass, ...]
    num_replicas: int = 1
    num_cpus: float = 1
    num_threads: int = 1
    num_gpus: float = 0
    device: str = "cpu"
    max_requests: int = 4096
    health_check_period_s: float = 5.0


class SongReplica:
    """Answers requests for songs; requests join and leave the batch that is running."""

    def __init__(self, config: ServingConfig, pointer: Path) -> None:
        torch.set_num_threads(config.num_threads)
        self._config = config
        self._pointer = pointer
        self._folder = read_pointer(pointer)
        loaded = load_model(self._folder, device=config.device)
        self._loop = EngineLoop(SamplingEngine(loaded, config.length_classes))
        self._digest = loaded.digest
        self._swapping = asyncio.Lock()
        self._refresh: asyncio.Task[str] | None = None

    async def sample(self, request: SamplingRequest, model_digest: str | None = None, num_lost: int = 0) -> SampledSong:
        """Draw one song; a caller that goes away takes its request with it.

        A replica that runs another model than `model_digest` first follows the pointer. `num_lost` tells how often the
        answer was lost before: a replica that was only out of reach may still be at it, and the engine's names are
        unique.
        """
        if model_digest not in (None, self._digest):
            await self.refresh()
        named = replace(request, request_id=f"{request.request_id}~{num_lost}") if num_lost else request
        try:
            song = await asyncio.wrap_future(self._loop.submit(named))
        except asyncio.CancelledError:
            self._loop.cancel(named.request_id)
            raise
        return replace(song, request_id=request.request_id)

    async def refresh(self) -> str:
        """Follow the pointer and return the digest that songs start on; running songs finish on the old model."""
        async with self._swapping:
            folder = await asyncio.to_thread(read_pointer, self._pointer)
            if folder != self._folder:
                loaded = await asyncio.to_thread(load_model, folder, device=self._config.device)
                self._digest = await asyncio.wrap_future(self._loop.swap_model(loaded))
                self._folder = folder
            return self._digest

    async def model_digest(self) -> str:
        """The digest of the model that songs start on; raises where the engine has died."""
        self._loop.check()
        return self._digest

    async def check_health(self) -> None:
        """Raise where the engine has died, so that Serve starts a new replica; follow the pointer on the side."""
        self._loop.check()
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self.refresh())


@dataclass(frozen=True, slots=True, eq=False)
class SamplingService:
    """A running service, and its client."""

    handle: DeploymentHandle
    config: ServingConfig
    pointer: Path

    def sample(
        self,
        requests: Sequence[SamplingRequest],
        progress: Callable[[int, int], None] | None = None,
        model_digest: str | None = None,
    ) -> list[SampledSong]:
        """All songs, in the requests' order; enough requests are kept on their way for the batches to stay full.

        Progress is told the finished songs and all songs. `model_digest` is the model that the service was last told
        to run: no replica sings on an older one. Raises the error of the first request that is refused.
        """
        songs: list[SampledSong] = []
        for song in self.songs(requests, model_digest):
            songs.append(song)
            if progress is not None:
                progress(len(songs), len(requests))
        return songs

    def songs(self, requests: Iterable[SamplingRequest], model_digest: str | None = None) -> Iterator[SampledSong]:
        """The same as they come; a song whose replica dies is drawn by another, which draws the same."""
        num_rows = sum(length.num_rows for length in self.config.length_classes) * self.config.num_replicas
        return answers_in_order(requests, partial(self.ask, model_digest), 4 * num_rows)

    def swap_model(self, model_folder: Path) -> str:
        """Sample another model from now on, without losing a request; returns its digest.

        Replicas beyond the first follow with their next health check, or with the first request that names the new
        model's digest. Raises `ModelFolderError` for a folder that holds no model of the running one's config; the
        running one then stays.
        """
        with moved_pointer(self.pointer, model_folder):
            (digest,) = answers_in_order(["refresh"], lambda *_: self.handle.refresh.remote(), 1)
            return str(digest)

    def ask(self, model_digest: str | None, request: SamplingRequest, num_lost: int) -> Any:
        """Send one request, whose answer was lost so often before; returns the response that is to come."""
        return self.handle.sample.remote(request, model_digest, num_lost)


def start_sampling(
    config: ServingConfig, model_folder: Path, pointer: Path, application: str = APPLICATION
) -> SamplingService:
    """Start the service on the Ray that is running, reachable by its handle only (no HTTP proxy).

    `pointer` is the file that names the running model; every replica must be able to read it.
    """
    write_pointer(pointer, model_folder)
    return SamplingService(run_application(partial(song_deployment, config, pointer), application), config, pointer)


def running_sampling(config: ServingConfig, pointer: Path, application: str = APPLICATION) -> SamplingService | None:
    """The service that an earlier step of the run left for this one, or None."""
    try:
        return SamplingService(serve.get_app_handle(application), config, pointer)
    except RayServeException:
        return None


def song_deployment(config: ServingConfig, pointer: Path) -> Application:
    """The replicas, bound to their configuration and pointer, ready to be run or to stand behind a front."""
    deployment = serve.deployment(
        SongReplica,
        name=SongReplica.__name__,
        num_replicas=config.num_replicas,
        max_ongoing_requests=config.max_requests,
        ray_actor_options={"num_cpus": config.num_cpus, "num_gpus": config.num_gpus},
        health_check_period_s=config.health_check_period_s,
    )
    return deployment.bind(config, pointer.resolve())


def check_replacement(running: Path, folder: Path) -> None:
    """Raise `ModelFolderError` where a folder holds no model of the running one's config.

    Of a running model whose folder is gone nothing is known here; the engine itself then refuses another config.
    """
    config = load_config(folder)
    if running.exists() and config != load_config(running):
        raise ModelFolderError(f"{folder} has another config than {running}, which runs; start a service for it")


def stop_sampling(application: str = APPLICATION) -> None:
    """Stop the service where it runs; others on the same Serve stay."""
    stop_application(application)


@contextmanager
def moved_pointer(pointer: Path, model_folder: Path) -> Iterator[None]:
    """Name another model while the replicas are told of it; where they cannot follow, the old name comes back.

    Raises `ModelFolderError` where the folder holds no model of the running one's config.
    """
    before = read_pointer(pointer)
    check_replacement(before, model_folder)
    write_pointer(pointer, model_folder)
    try:
        yield
    except RayError:
        write_pointer(pointer, before)
        raise
