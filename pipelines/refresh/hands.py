"""What does a night's work: sampling, scoring and training, in this process or on a Ray cluster."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from levo.alignment.preflight import PreflightReport
from levo.alignment.reference import SongLogProbability
from levo.alignment.trial_config import TrialConfig
from levo.training.loop import LoggedStep
from levo.training.phases import PhaseConfig
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import Sampler

ScoringPipeline = Pipeline[CandidateRow, ScoredRow]
OnLog = Callable[[str, LoggedStep], None]
BATCH_SONGS = 32
"""Songs that are scored together, everywhere: scores depend in their last digits on the batch that they are in."""


class Scorer(Protocol):
    """Judges songs."""

    def score(self, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        """Every song's outcome, in the songs' order."""
        ...


@dataclass(frozen=True, slots=True)
class Training:
    """Phases to train, each from its own initial model; `cache` holds what trainings share from night to night."""

    phases: tuple[PhaseConfig, ...]
    storage: Path
    cache: Path


@dataclass(frozen=True, slots=True)
class Examination:
    """A training to look over: what its pairs' own metric says of them, and the reference that it will read."""

    phase: PhaseConfig
    gains: Mapping[str, float]
    reference: Mapping[str, SongLogProbability]
    trial: TrialConfig
    folder: Path


class Hands(Protocol):
    """Where a night's work is done; beyond the last digits of scores, what it gives does not depend on where."""

    @property
    def overlaps(self) -> bool:
        """Whether songs are sampled while others are scored, and sung while models train."""
        ...

    @property
    def num_samplers(self) -> int:
        """How many workers sing at once."""
        ...

    def sampler(self, model: Path) -> AbstractContextManager[Sampler]:
        """A sampler of a model, open while the block lasts; one at a time."""
        ...

    def scorer(self, pipeline: ScoringPipeline, marks: Path) -> AbstractContextManager[Scorer]:
        """The stages of a pipeline, open while the block lasts; one at a time.

        `marks` is a folder for what is known of songs that ended their worker.
        """
        ...

    def train(self, training: Training, on_log: OnLog) -> list[PhaseResult]:
        """Train the phases; what an earlier call over the same storage finished is not done again."""
        ...

    def examine(self, examination: Examination) -> PreflightReport:
        """Look a training over, and try a few of its steps, before it is paid for."""
        ...

    def measure(self, model: Path, pairs: Path, cache: Path, precision: Precision) -> int:
        """File the log-probabilities of a pair store's songs under a model; the number that were not on file."""
        ...
