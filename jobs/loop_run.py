"""One run of the closed loop: its steps in order, each shown, timed, tracked, and skipped where it is done."""

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.cluster import ray_cluster
from jobs.loop_tracking import TrackedStep, tracked_loop
from jobs.progress import ProgressCallback, RunProgress
from jobs.recipes.loop import recipe_named
from jobs.summary import StepCost
from jobs.tracking.mlflow_tracker import open_tracker
from jobs.tracking.protocol import TrackedRun, Tracker
from levo.training.loop import LoggedStep
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run_folder import RunFolder, StepRecord, held_alone
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces
from pipelines.observability.logs import log_context

StepResult = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoopStep:
    """A step: its name, what it does in a few words, and the function that does it.

    A run whose done steps have another version or inputs is refused, since later ones rest on them. A step that none
    rests on (not `is_followed`) is done again instead.
    """

    name: str
    title: str
    act: Callable[["StepTools"], StepResult]
    needs_ray: bool = False
    version: int = 1
    inputs: str = ""
    is_followed: bool = True


@dataclass(frozen=True, slots=True)
class StepTools:
    """What a step works with."""

    context: LoopContext
    progress: ProgressCallback
    tracked: TrackedStep
    at_end: Callable[[Callable[[], None]], object]
    """Takes what is to be done when the run ends, well or badly: a step's way to leave something for later ones."""

    def log_curve(self, phase: str, logged: LoggedStep) -> None:
        """A training interval's metrics, in the phase's own run."""
        self.tracked.log_interval(phase, logged)


class LoopRun:
    """Runs steps in one folder; Ray starts when the first step that is not done needs it."""

    def __init__(self, context: LoopContext, folder: RunFolder, tracker: Tracker, progress: RunProgress) -> None:
        self._context = context
        self._folder = folder
        self._tracker = tracker
        self._progress = progress
        self._followed = ""
        self.records: list[StepRecord] = []
        self.results: dict[str, StepResult] = {}

    def run(self, steps: tuple[LoopStep, ...], monitor: ResourceMonitor) -> None:
        """Do what is not done; an error leaves every finished step as it is."""
        with ExitStack() as resources:
            for step in steps:
                record = self._run_step(step, monitor, resources)
                self.records.append(record)
                self._followed = record.identity if step.is_followed else self._followed
                self.results[step.name] = record.result

    @property
    def peak_memory_bytes(self) -> int:
        """The largest peak of any step, whenever it was done."""
        return max((record.peak_memory_bytes for record in self.records), default=0)

    def costs(self) -> tuple[StepCost, ...]:
        """What each step took."""
        return tuple(StepCost(one.name, one.wall_s, one.cpu_s, one.skipped) for one in self.records)

    def _run_step(self, step: LoopStep, monitor: ResourceMonitor, resources: ExitStack) -> StepRecord:
        tracked = TrackedStep(self._tracker, self._folder.key, step.name, self._context)
        inputs = {"version": step.version, "inputs": step.inputs, "after": self._followed}
        with self._progress.step(step.title) as show, log_context(run_key=self._folder.key, stage=step.name):

            def act() -> StepResult:
                tracked.begin()
                if step.needs_ray:
                    resources.enter_context(ray_cluster())
                return step.act(StepTools(self._context, show, tracked, resources.callback))

            try:
                record = self._folder.run_step(step.name, inputs, act, monitor, may_redo=not step.is_followed)
            except BaseException as error:
                tracked.fail(error)
                raise
        self._progress.done(step.title, record.wall_s, short_note(record.result), skipped=record.skipped)
        tracked.complete(record, {**self.results, step.name: record.result})
        return record


def short_note(result: Mapping[str, Any], longest: int = 3) -> str:
    """A few of a result's plain values, for the line that a finished step leaves."""
    plain = [(name, value) for name, value in result.items() if isinstance(value, int | float)]
    return ", ".join(f"{name.removeprefix('num_')} {value:g}" for name, value in plain[:longest])


@dataclass(frozen=True, slots=True)
class OpenedLoop:
    """A run that this process works on."""

    context: LoopContext
    folder: RunFolder
    tracker: Tracker

    @contextmanager
    def tracked(self) -> Iterator[TrackedRun]:
        """The parent run that the steps hang under; it ends, well or badly, as the block does.

        Raises `BusyFolderError` where another process is in such a block of the same folder.
        """
        with held_alone(self.folder.folder), tracked_loop(self.tracker, self.folder.key, self.context) as parent:
            yield parent


def open_loop(recipe: str, seed: int, out: Path, tracking_uri: str | None) -> OpenedLoop:
    """Claim `out` for a recipe and seed; raises `ForeignFolderError` where it is another run's."""
    context = LoopContext(recipe_named(recipe, seed), RunPlaces(out))
    folder = RunFolder(out, {"loop": context.config, "version": importlib.metadata.version("levo")})
    return OpenedLoop(context, folder, open_tracker(out, tracking_uri))
