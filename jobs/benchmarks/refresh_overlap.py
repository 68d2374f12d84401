"""Sampling, scoring and training of a night beside each other, held against one after the other.

Each stage is a Ray actor of one thread. Both arms use the same actors, with their models loaded before, and the night's
own steps: its songs, and the training on the pairs of the night before, while the champion sings for the gate and for
the search. What differs is whether they may work at once.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import psutil
import ray
import torch

from jobs.benchmarks.refresh_line import TrialLine, night_without_training
from jobs.cluster import ray_cluster
from levo.alignment.preflight import PreflightReport
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.song.digest import digest_arrays, digest_json
from levo.song.scores import Axis
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.stage import Refusal
from pipelines.loop.config import SamplingConfig
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import Sampler
from pipelines.refresh.beside import beside
from pipelines.refresh.champion_songs import champion_songs
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.hands import Examination, OnLog, Scorer, ScoringPipeline, Training
from pipelines.refresh.hands_in_process import InProcessHands
from pipelines.refresh.pair_steps import choose, pool_of, sing
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces
from pipelines.refresh.training_steps import AxisTraining, align, planned

_DATES = ("2026-01-01", "2026-01-02")
_CORES = 2
_PROMPTS, _CHUNKS, _WARM_STEPS = 48, 6, 4
_STAGES = ("sample", "score", "train")


@dataclass(frozen=True, slots=True)
class OverlapArm:
    """Songs of a night sampled and scored, and pairs trained on beside the champion's songs, or one after the other.

    Wall seconds; CPU seconds of each stage and of the driver; and a digest of the songs and models that came of it.
    """

    wall_s: float
    cpu_s: dict[str, float]
    outcome: str

    @property
    def busy_share(self) -> float:
        """Share of the two cores that was at work."""
        return sum(self.cpu_s.values()) / (_CORES * self.wall_s)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rounds of both arms, taken in turns."""

    serial: tuple[OverlapArm, ...]
    overlapped: tuple[OverlapArm, ...]

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
        equal = len({one.outcome for one in (*self.serial, *self.overlapped)}) == 1
        cpu = {name: median(one.cpu_s[name] for one in self.serial) for name in self.serial[0].cpu_s}
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in cpu.items())
        return "\n".join(
            [
                f"CPU seconds by stage: {stages}",
                f"serial {_shown(self.serial)}, overlapped {_shown(self.overlapped)}",
                f"wall, overlapped over serial: {self.ratio:.2f}; busy share of two cores: {self.busy_share:.2f} "
                f"(serial {median(one.busy_share for one in self.serial):.2f}); songs and models equal: {equal}",
            ]
        )


def compare_overlap(
    run: Path, recipe: str, folder: Path, num_rounds: int, progress: Callable[[object], None]
) -> Overlap:
    """Do a night whose pairs are trained on, then the next night's songs and that training in both arms, in turns."""
    with ray_cluster():
        shutil.rmtree(folder, ignore_errors=True)
        line = _chunked(TrialLine(run, recipe, folder / "store").setting())
        actors = _Actors(line.context.config.sampling)
        champion = night_without_training(replace(line, hands=ActorHands(actors, overlaps=True)), _DATES[0])
        progress("the first night's pairs are there")
        warm = _Round(_least(line), actors, champion, folder / "warm")
        warm.run(overlaps=True, prompts=1, steps=_WARM_STEPS)
        arms: dict[bool, list[OverlapArm]] = {False: [], True: []}
        for number in range(num_rounds):
            for overlaps in (False, True):
                arms[overlaps].append(
                    _Round(line, actors, champion, folder / f"round-{number}-{overlaps}").run(overlaps=overlaps)
                )
                progress(f"overlapped {overlaps}: {arms[overlaps][-1]}")
    return Overlap(tuple(arms[False]), tuple(arms[True]))


@dataclass(frozen=True)
class ActorHands:
    """Hands whose stages are actors."""

    actors: "_Actors"
    overlaps: bool
    num_samplers: ClassVar[int] = 1

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


@dataclass(frozen=True, slots=True)
class _Round:
    line: NightSetting
    actors: _Actors
    champion: ModelEntry
    folder: Path

    def run(self, *, overlaps: bool, prompts: int | None = None, steps: int | None = None) -> OverlapArm:
        """Sample, score and train; of fewer prompts or steps where that is asked for."""
        setting = replace(self.line, hands=ActorHands(self.actors, overlaps))
        chosen = choose(setting, _DATES[1])["prompts"][:prompts]
        plan = self._plan(setting, steps)
        places = SongPlaces(self.folder / "songs", self.folder / "marks")
        before, began_s = self._cpu_s(), time.monotonic()
        model = setting.store.model(self.champion)
        songs = sing(setting, _DATES[1], model, chosen, places)

        axes = [Axis(phase.name) for phase in plan.phases]

        def sing_ahead(watched: NightSetting) -> list[ScoredSongs]:
            return champion_songs(watched, _DATES[1], axes, self.champion, 0, places)

        with beside(setting, sing_ahead):
            trained = align(setting, plan)
        ahead = sing_ahead(setting)
        wall_s = time.monotonic() - began_s
        cpu_s = {name: after - before[name] for name, after in self._cpu_s().items()}
        rows = [row for one in (songs, *ahead) for row in one.candidates]
        sung = [[row.candidate_id, digest_arrays([row.codes])] for row in rows]
        return OverlapArm(wall_s, cpu_s, digest_json([sung, trained["models"]]))

    def _plan(self, setting: NightSetting, steps: int | None) -> AxisTraining:
        (attempt,) = setting.store.night(_DATES[0]).glob("attempt-*")
        pool = pool_of(attempt / "pair")
        axes = [axis for axis in Axis if any(row.pair.axis is axis for row in pool)]
        model = setting.store.model(self.champion)
        plan = planned(setting, pool, axes, model, self.folder / "pairs", self.folder / "training")
        if steps is None:
            return plan
        return replace(plan, phases=tuple(replace(phase, num_steps=steps) for phase in plan.phases[:1]))

    def _cpu_s(self) -> dict[str, float]:
        processes = {**dict(zip(_STAGES, self.actors.pids, strict=True)), "driver": os.getpid()}
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in processes.items()}


def _chunked(setting: NightSetting) -> NightSetting:
    """With six chunks of prompts in a night, as the demo has them: a single one leaves nothing to do at once."""
    number = min(_PROMPTS, setting.config.prompts.num_pair)
    several = replace(setting.config, prompts_per_night=number, prompts_per_chunk=max(1, number // _CHUNKS))
    return replace(setting, config=several)


def _least(setting: NightSetting) -> NightSetting:
    """With two prompts in a fold of the gate."""
    prompts = setting.config.prompts
    least = replace(prompts, num_gate_folds=prompts.num_gate // 2)
    return replace(setting, config=replace(setting.config, prompts=least))


def _shown(arms: Sequence[OverlapArm]) -> str:
    return f"{median(one.wall_s for one in arms):.1f} s"
