"""What a run of the corpus flow will take, foreseen from a trial on a few of its songs, to hold what came true to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from pipelines.corpus.records import SourceSong, source_bytes, stored_bytes
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import Executor
from pipelines.flow.identity import record_digest
from pipelines.flow.memory import Memory
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run import PART_SIZE, FlowResult, run_in_parts
from pipelines.flow.stage import Resources

_SONGS_A_WORKER = 4
_WORTH_A_TRIAL = 16
"""Times as many songs as the trial takes; for fewer the trial's start would cost more than the plan is worth."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What each worker of a stage holds, and the seconds of all its workers together."""

    name: str
    resources: Resources
    seconds: float


@dataclass(frozen=True, slots=True)
class RunCosts:
    """What so many songs take, or took; the memory is the peak of this machine's processes."""

    num_songs: int
    wall_s: float
    peak_memory_bytes: int
    stored_bytes: int
    stages: tuple[StageCost, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is foreseen for the songs that are not done yet, after a trial on so many others."""

    expected: RunCosts
    num_trial: int
    num_workers: int


class CostMeter:
    """Adds up what a run takes, from now on."""

    def __init__(self, monitor: ResourceMonitor) -> None:
        self._monitor = monitor
        self._began_s = monotonic()
        self._seconds = Counter[str]()
        self._stored_bytes = 0
        monitor.forget_peak()

    def add(self, part: FlowResult[Any]) -> None:
        """Count what a part of the run took."""
        self._seconds.update(part.stage_seconds)
        self._stored_bytes += part.added_weight

    def costs(self, pipeline: Pipeline[Any, Any], num_songs: int) -> RunCosts:
        """What was taken so far for so many songs."""
        return RunCosts(
            num_songs,
            monotonic() - self._began_s,
            self._monitor.peak_memory_bytes,
            self._stored_bytes,
            tuple(StageCost(stage.name, stage.resources, self._seconds[stage.name]) for stage in pipeline.stages),
        )


def plan_run(
    pipeline: Pipeline[SourceSong, Any],
    songs: Sequence[SourceSong],
    executor: Executor,
    memory: Memory,
    attempts: Attempts,
    monitor: ResourceMonitor,
    num_passes: int = 1,
) -> Plan | None:
    """Run a few of the songs that are not done, spread over all, and foresee the others; None where they are too few.

    Work is taken to grow with the bytes of the recordings, the start of workers with parts and passes. What the trial
    did is remembered, so that it is not done again.
    """
    memory.recover(pipeline, pipeline.chain)
    index, num_stages = memory.index(pipeline), len(pipeline.stages)
    is_open = (index.num_stages(record_digest(song)) < num_stages for song in songs)
    places = [place for place, is_left in enumerate(is_open) if is_left]
    num_trial = _SONGS_A_WORKER * executor.num_workers
    if len(places) < _WORTH_A_TRIAL * num_trial:
        return None
    chosen = [songs[places[len(places) * number // num_trial]] for number in range(num_trial)]
    meter = CostMeter(monitor)
    for part in run_in_parts(pipeline, chosen, executor, memory, attempts=attempts, weigh=stored_bytes):
        meter.add(part)
    trial = meter.costs(pipeline, num_trial)
    worked_s = sum(stage.seconds for stage in trial.stages) / executor.num_workers
    num_left = len(places) - num_trial
    share = (_bytes_of(songs, places) - sum(map(source_bytes, chosen))) / sum(map(source_bytes, chosen))
    num_starts = num_passes * -(-num_left // PART_SIZE)
    expected = RunCosts(
        num_songs=num_left,
        wall_s=share * worked_s + num_starts * max(0.0, trial.wall_s - worked_s),
        peak_memory_bytes=trial.peak_memory_bytes,
        stored_bytes=round(share * trial.stored_bytes),
        stages=tuple(replace(stage, seconds=share * stage.seconds) for stage in trial.stages),
    )
    return Plan(expected, num_trial, executor.num_workers)


def _bytes_of(songs: Sequence[SourceSong], places: Sequence[int]) -> int:
    left = set(places)
    return sum(source_bytes(song) for place, song in enumerate(songs) if place in left)
