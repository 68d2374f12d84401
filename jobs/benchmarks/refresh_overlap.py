"""A night whose stages work beside each other, held against the same night with one stage after the other.

Each stage is a Ray actor of one thread: one samples, one scores, one trains. Both arms use the same actors, with their
models loaded by an earlier night; what differs is whether the night lets them work at once.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import ray
import torch

from jobs.benchmarks.refresh_line import TrialLine, state_of
from jobs.cluster import ray_cluster
from levo.alignment.preflight import PreflightReport
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.stage import Refusal
from pipelines.loop.config import SamplingConfig
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import Sampler
from pipelines.refresh.hands import Examination, OnLog, Scorer, ScoringPipeline, Training
from pipelines.refresh.hands_in_process import InProcessHands
from pipelines.refresh.night import run_night

_DATES = ("2026-01-01", "2026-01-02")
_CORES = 2


@dataclass(frozen=True, slots=True)
class NightArm:
    """A night: wall seconds, CPU seconds of the stages and the driver, and the state that it came to."""

    wall_s: float
    cpu_s: float
    pairs: str | None

    @property
    def busy_share(self) -> float:
        """Share of the two cores that was at work."""
        return self.cpu_s / (_CORES * self.wall_s)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rounds of both arms, taken in turns."""

    serial: tuple[NightArm, ...]
    overlapped: tuple[NightArm, ...]

    @property
    def ratio(self) -> float:
        """The median round's wall over the serial one's."""
        return median(two.wall_s / one.wall_s for one, two in zip(self.serial, self.overlapped, strict=True))

    @property
    def busy_share(self) -> float:
        """The median round's share of both cores."""
        return median(one.busy_share for one in self.overlapped)

    @property
    def table(self) -> str:
        """The figures in lines."""
        equal = len({one.pairs for one in (*self.serial, *self.overlapped)}) == 1
        return "\n".join(
            [
                f"serial {_shown(self.serial)}, overlapped {_shown(self.overlapped)}",
                f"wall, overlapped over serial: {self.ratio:.2f}; busy share of two cores: {self.busy_share:.2f} "
                f"(serial {median(one.busy_share for one in self.serial):.2f}); pairs equal: {equal}",
            ]
        )


def compare_overlap(
    run: Path, recipe: str, folder: Path, num_rounds: int, progress: Callable[[object], None]
) -> Overlap:
    """Do a night to warm the actors, then the next one in both arms, from the same state each time."""
    with ray_cluster():
        first = folder / "first"
        shutil.rmtree(first, ignore_errors=True)
        setting = TrialLine(run, recipe, first).setting()
        actors = _Actors(setting.context.config.sampling)
        run_night(replace(setting, hands=ActorHands(actors, overlaps=True)), _DATES[0])
        arms: dict[bool, list[NightArm]] = {False: [], True: []}
        for number in range(num_rounds):
            for overlaps in (False, True):
                place = folder / f"round-{number}-{overlaps}"
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(first, place)
                arms[overlaps].append(_night(TrialLine(run, recipe, place), ActorHands(actors, overlaps)))
                progress(f"overlapped {overlaps}: {arms[overlaps][-1]}")
    return Overlap(tuple(arms[False]), tuple(arms[True]))


@dataclass(frozen=True)
class ActorHands:
    """Hands whose stages are actors."""

    actors: "_Actors"
    overlaps: bool

    @contextmanager
    def sampler(self, model: Path) -> Iterator[Sampler]:
        """The sampling actor, on a model."""
        yield _ActorSampler(self.actors.sampler, model)

    @contextmanager
    def scorer(self, pipeline: ScoringPipeline, marks: Path) -> Iterator[Scorer]:
        """The scoring actor, on a pipeline."""
        yield _ActorScorer(self.actors.scorer, pipeline, marks)

    def train(self, training: Training, on_log: OnLog) -> list[PhaseResult]:
        """The training actor."""
        del on_log
        results: list[PhaseResult] = ray.get(self.actors.trainer.train.remote(training))
        return results

    def examine(self, examination: Examination) -> PreflightReport:
        """The training actor too."""
        report: PreflightReport = ray.get(self.actors.trainer.examine.remote(examination))
        return report

    def measure(self, model: Path, pairs: Path, cache: Path, precision: Precision) -> int:
        """The training actor too."""
        return int(ray.get(self.actors.trainer.measure.remote(model, pairs, cache, precision)))


class _Actors:
    def __init__(self, sampling: SamplingConfig) -> None:
        made: Any = ray.remote(num_cpus=1)(_Stage)
        self.sampler, self.scorer, self.trainer = (made.remote(sampling) for _ in range(3))
        self.pids: list[int] = ray.get([one.pid.remote() for one in (self.sampler, self.scorer, self.trainer)])


class _Stage:
    def __init__(self, sampling: SamplingConfig) -> None:
        torch.set_num_threads(1)
        self._hands = InProcessHands(sampling)
        self._open: dict[str, tuple[Any, Any]] = {}

    def pid(self) -> int:
        return os.getpid()

    def sample(self, model: Path, requests: Sequence[SamplingRequest]) -> list[SampledSong]:
        sampler: Sampler = self._opened(str(model), lambda: self._hands.sampler(model))
        return sampler.sample(requests, lambda *_: None)

    def score(self, pipeline: ScoringPipeline, marks: Path, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        scorer: Scorer = self._opened(pipeline.chain[-1], lambda: self._hands.scorer(pipeline, marks))
        return scorer.score(songs)

    def train(self, training: Training) -> list[PhaseResult]:
        return self._hands.train(training, lambda _name, _step: None)

    def examine(self, examination: Examination) -> PreflightReport:
        return self._hands.examine(examination)

    def measure(self, model: Path, pairs: Path, cache: Path, precision: Precision) -> int:
        return self._hands.measure(model, pairs, cache, precision)

    def _opened(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._open:
            context = make()
            self._open[name] = (context, context.__enter__())
        return self._open[name][1]


@dataclass(frozen=True)
class _ActorSampler:
    actor: Any
    model: Path

    def sample(self, requests: Sequence[SamplingRequest], progress: Callable[[int, int], None]) -> list[SampledSong]:
        songs: list[SampledSong] = ray.get(self.actor.sample.remote(self.model, list(requests)))
        progress(len(songs), len(songs))
        return songs


@dataclass(frozen=True)
class _ActorScorer:
    actor: Any
    pipeline: ScoringPipeline
    marks: Path

    def score(self, songs: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
        outcomes: list[ScoredRow | Refusal] = ray.get(self.actor.score.remote(self.pipeline, self.marks, list(songs)))
        return outcomes


def _night(line: TrialLine, hands: ActorHands) -> NightArm:
    setting = replace(line.setting(), hands=hands)
    processes = [psutil.Process(), *map(psutil.Process, hands.actors.pids)]
    cpu_s, began_s = _cpu_s(processes), time.monotonic()
    run_night(setting, _DATES[1])
    return NightArm(time.monotonic() - began_s, _cpu_s(processes) - cpu_s, state_of(line.store).pairs)


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _shown(arms: Sequence[NightArm]) -> str:
    return f"{median(one.wall_s for one in arms):.1f} s"
