"""Scores on Ray Serve: replicas that open a scoring pipeline once, and a client that keeps them busy.

Songs can be scored as they are sampled: the client takes them as they come, and stands beside the sampling service on
one Serve.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from ray import serve
from ray.serve import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import OpenStages
from pipelines.flow.metering import FlowMeter
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal
from pipelines.loop.applications import run_application, stop_application
from pipelines.loop.asking import answers_in_order
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.observability.metrics import live_metrics

APPLICATION = "levo-scoring"

ScoringPipeline = Pipeline[CandidateRow, ScoredRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """What a scoring service runs with: songs wait up to `batch_wait_s` for others to be scored with them."""

    num_replicas: int = 1
    num_cpus: float = 1
    num_threads: int = 1
    num_gpus: float = 0
    batch_size: int = 16
    batch_wait_s: float = 0.05
    health_check_period_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("num_replicas", "num_threads", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"scoring: {name} is {getattr(self, name)}; expected 1 or more")

    @property
    def max_songs(self) -> int:
        """Songs that one replica has in hand: those it scores and enough to follow them."""
        return 4 * self.batch_size


class ScorerReplica:
    """Scores songs, those that wait together in one batch."""

    def __init__(self, config: ScoringConfig, pipeline: ScoringPipeline, attempts: Attempts | None) -> None:
        torch.set_num_threads(config.num_threads)
        # Without a folder that outlives the replica, a stage that raises still refuses its song and no other.
        marks = attempts or Attempts(Path(tempfile.mkdtemp(prefix="levo-scoring-")))
        self._pipeline, self._meter = pipeline, FlowMeter(live_metrics())
        self._stages = OpenStages(pipeline.stages, marks)
        self._stages.open()
        self._busy = asyncio.Lock()
        self._scored.set_max_batch_size(config.batch_size)
        self._scored.set_batch_wait_timeout_s(config.batch_wait_s)

    async def score(self, song: CandidateRow) -> ScoredRow | Refusal:
        """What the judges say of a song, or why they cannot."""
        return cast(ScoredRow | Refusal, await self._scored(song))

    async def score_together(self, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        """The same of songs that are one batch, whoever else asks: what products round to depends on the batch."""
        async with self._busy:
            return await asyncio.to_thread(self._outcomes, list(songs))

    @serve.batch  # type: ignore[untyped-decorator]
    async def _scored(self, songs: list[CandidateRow]) -> list[ScoredRow | Refusal]:
        async with self._busy:
            return await asyncio.to_thread(self._outcomes, songs)

    def _outcomes(self, songs: list[CandidateRow]) -> list[ScoredRow | Refusal]:
        traces = self._stages.run(songs)
        self._meter.take_traces(self._pipeline.stages, traces)
        return [trace.refusal or trace.outputs[-1] for trace in traces]


@dataclass(frozen=True, slots=True, eq=False)
class ScoringService:
    """A running service, and its client."""

    handle: DeploymentHandle
    config: ScoringConfig

    def score(
        self, songs: Sequence[CandidateRow], progress: Callable[[int, int], None] | None = None
    ) -> list[ScoredRow | Refusal]:
        """Every song's outcome, in the songs' order; progress is told the scored songs and all songs."""
        outcomes: list[ScoredRow | Refusal] = []
        for outcome in self.outcomes(songs):
            outcomes.append(outcome)
            if progress is not None:
                progress(len(outcomes), len(songs))
        return outcomes

    def outcomes(self, songs: Iterable[CandidateRow]) -> Iterator[ScoredRow | Refusal]:
        """The same as they come, for songs that may still be in the making; enough are on their way for full batches.

        A song whose replica dies is scored by another. Raises what the disk or the network refuses.
        """
        return answers_in_order(songs, self._ask, self.config.max_songs * self.config.num_replicas)

    def score_in_batches(self, songs: Sequence[CandidateRow], batch_size: int) -> list[ScoredRow | Refusal]:
        """Every song's outcome, in order, from batches that are always the same: equal songs get equal scores."""
        batches = [songs[start : start + batch_size] for start in range(0, len(songs), batch_size)]
        answers = answers_in_order(
            batches, lambda batch, _lost: self.handle.score_together.remote(batch), 2 * self.config.num_replicas
        )
        return [outcome for answer in answers for outcome in answer]

    def _ask(self, song: CandidateRow, _num_lost: int) -> Any:
        return self.handle.score.remote(song)


def start_scoring(
    config: ScoringConfig,
    pipeline: ScoringPipeline,
    attempts: Attempts | None = None,
    application: str = APPLICATION,
) -> ScoringService:
    """Start the service on the Ray that is running, reachable by its handle only.

    With `attempts`, in a folder that all replicas see, a song that kills its replica again and again is refused;
    without them the client gives up on it.
    """
    return ScoringService(
        run_application(partial(scoring_application, config, pipeline, attempts), application), config
    )


def running_scoring(config: ScoringConfig) -> ScoringService | None:
    """The service that was started before with this config, or None."""
    try:
        return ScoringService(serve.get_app_handle(APPLICATION), config)
    except RayServeException:
        return None


def scoring_application(
    config: ScoringConfig, pipeline: ScoringPipeline, attempts: Attempts | None = None
) -> Application:
    """The replicas, bound to what they score with."""
    deployment = serve.deployment(
        ScorerReplica,
        name=ScorerReplica.__name__,
        num_replicas=config.num_replicas,
        max_ongoing_requests=config.max_songs,
        ray_actor_options={"num_cpus": config.num_cpus, "num_gpus": config.num_gpus},
        health_check_period_s=config.health_check_period_s,
    )
    return deployment.bind(config, pipeline, attempts)


def stop_scoring(application: str = APPLICATION) -> None:
    """Stop the service where it runs; others on the same Serve stay."""
    stop_application(application)
