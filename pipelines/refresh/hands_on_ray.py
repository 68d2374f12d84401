"""A night's work on Ray: songs from Ray Serve, scores from replicas beside it, training by Ray Train with DeepSpeed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import ray

from levo.alignment.preflight import PreflightReport
from levo.model.store import model_digest
from levo.song.digest import digest_json
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.attempts import Attempts
from pipelines.flow.stage import Refusal
from pipelines.loop.config import LoopConfig
from pipelines.loop.model_pointer import read_pointer
from pipelines.loop.model_steps import training_scale
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import Sampler
from pipelines.loop.sampling_steps import ServedSampler, serving_config
from pipelines.loop.served_scoring import ScoringConfig, ScoringService, start_scoring, stop_scoring
from pipelines.loop.serving import SamplingService, running_sampling, start_sampling, stop_sampling
from pipelines.loop.training import run_phases
from pipelines.refresh.examining import examined
from pipelines.refresh.hands import BATCH_SONGS, Examination, OnLog, Scorer, ScoringPipeline, Training
from pipelines.refresh.measuring import fill


@dataclass(frozen=True)
class _ServedScorer:
    service: ScoringService

    def score(self, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        return self.service.score_in_batches(songs, BATCH_SONGS)


@dataclass(frozen=True)
class RayHands:
    """Works on the Ray that is running, until `close`; `pointer` is the file that the sampling replicas follow.

    Its services are named after that file: other lines, runs and services on the same Ray have theirs. They stay for
    the next block that needs them. Where GPUs are used the sampling replicas give theirs back before a training.
    """

    config: LoopConfig
    pointer: Path
    num_scorers: int = 2
    overlaps: ClassVar[bool] = True
    _scoring: dict[str, ScoringService] = field(default_factory=dict, repr=False)
    """The running service by what it scores with; at most one."""

    @property
    def num_samplers(self) -> int:
        """The replicas of the recipe."""
        return self.config.sampling.num_replicas

    @contextmanager
    def sampler(self, model: Path) -> Iterator[Sampler]:
        """The service, singing by the model; it stays for the next block."""
        service = self._service(model)
        if read_pointer(self.pointer) != model.resolve():
            service.swap_model(model.resolve())
        yield ServedSampler(service, model_digest(model))

    @contextmanager
    def scorer(self, pipeline: ScoringPipeline, marks: Path) -> Iterator[Scorer]:
        """Replicas that have the pipeline's stages open; those of another pipeline end."""
        name = pipeline.chain[-1]
        if name not in self._scoring:
            self._stop_scoring()
            config = ScoringConfig(num_replicas=self.num_scorers)
            self._scoring[name] = start_scoring(config, pipeline, Attempts(marks.resolve()), self._named("scoring"))
        yield _ServedScorer(self._scoring[name])

    def train(self, training: Training, on_log: OnLog) -> list[PhaseResult]:
        """One fit for all phases."""
        scale = training_scale(self.config.training)
        if scale.use_gpu:
            stop_sampling(self._named("sampling"))
        return run_phases(training.phases, training.storage, on_log, scale, cache=training.cache)

    def examine(self, examination: Examination) -> PreflightReport:
        """A short trial in a task."""
        report: PreflightReport = self._done(examined, replace(examination, folder=examination.folder.resolve()))
        return report

    def measure(self, model: Path, pairs: Path, cache: Path, precision: Precision) -> int:
        """File what is missing, in a task."""
        chunked = self.config.training.chunked_loss
        return int(self._done(fill, model.resolve(), pairs.resolve(), cache.resolve(), precision, chunked))

    def _done(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """What a task gives, on a GPU where trainings use them; the device is its last argument."""
        plan = self.config.training
        if plan.use_gpu:
            stop_sampling(self._named("sampling"))
        task = ray.remote(num_cpus=plan.threads_per_worker, num_gpus=int(plan.use_gpu), max_calls=1)(act)
        return ray.get(task.remote(*arguments, "cuda" if plan.use_gpu else "cpu"))

    def close(self) -> None:
        """Stop what still runs."""
        self._stop_scoring()
        stop_sampling(self._named("sampling"))

    def _stop_scoring(self) -> None:
        self._scoring.clear()
        stop_scoring(self._named("scoring"))

    def _service(self, model: Path) -> SamplingService:
        config, name = serving_config(self.config.sampling), self._named("sampling")
        running = running_sampling(config, self.pointer, name)
        return running or start_sampling(config, model.resolve(), self.pointer, name)

    def _named(self, service: str) -> str:
        return f"levo-night-{service}-{digest_json(str(self.pointer))[:8]}"
