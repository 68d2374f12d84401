"""A night's work in this process: one engine, one set of stages, one trainer, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.preflight import PreflightReport
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import load_model
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import OpenStages
from pipelines.flow.stage import Refusal
from pipelines.loop.config import SamplingConfig
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import Sampler
from pipelines.refresh.examining import examined
from pipelines.refresh.hands import BATCH_SONGS, Examination, OnLog, Scorer, ScoringPipeline, Training
from pipelines.refresh.measuring import fill


@dataclass(frozen=True)
class InProcessHands:
    """Works in the calling thread."""

    sampling: SamplingConfig
    overlaps: ClassVar[bool] = False
    num_samplers: ClassVar[int] = 1

    @contextmanager
    def sampler(self, model: Path) -> Iterator[Sampler]:
        """An engine on the model."""
        yield _EngineSampler(SamplingEngine(load_model(model), self.sampling.length_classes))

    @contextmanager
    def scorer(self, pipeline: ScoringPipeline, marks: Path) -> Iterator[Scorer]:
        """The pipeline's stages, opened as songs reach them."""
        yield _StageScorer(OpenStages(pipeline.stages, Attempts(marks)))

    def train(self, training: Training, on_log: OnLog) -> list[PhaseResult]:
        """Plain PyTorch, a phase after the other."""
        return run_phases_in_process(training.phases, training.storage, on_log, cache=training.cache)

    def examine(self, examination: Examination) -> PreflightReport:
        """A short trial."""
        return examined(examination)

    def measure(self, model: Path, pairs: Path, cache: Path, precision: Precision) -> int:
        """File what is missing."""
        return fill(model, pairs, cache, precision)


class _EngineSampler:
    def __init__(self, engine: SamplingEngine) -> None:
        self._engine = engine

    def sample(self, requests: Sequence[SamplingRequest], progress: Callable[[int, int], None]) -> list[SampledSong]:
        return self._engine.run(requests, lambda state: progress(state.num_finished, len(requests)))


class _StageScorer:
    def __init__(self, stages: OpenStages) -> None:
        self._stages = stages

    def score(self, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        starts = range(0, len(songs), BATCH_SONGS)
        traces = [trace for start in starts for trace in self._stages.run(songs[start : start + BATCH_SONGS])]
        return [trace.refusal or trace.outputs[-1] for trace in traces]
