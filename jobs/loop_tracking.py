"""Tells the tracker what a run of the loop is and did: the parent, a child per step, and one per training phase.

All of a step is told once it is done, and told again when a later run skips it: the tracker leaves out what it knows,
so what a crash or a dead server lost is added. What cannot be read costs a warning, never the run.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobs.lineage.code import code_tags
from jobs.lineage.models import Results
from jobs.lineage.parameters import loop_parameters, step_parameters
from jobs.lineage.phases import TrainingPhase
from jobs.lineage.records import TRAINING, StepLineage
from jobs.lineage.steps import report_lineage, step_lineage
from jobs.summary import Summary
from jobs.tracking.numbers import numbers_in
from jobs.tracking.protocol import RunStatus, TrackedRun, Tracker
from jobs.tracking.system_metrics import system_metrics
from levo.training.loop import LoggedStep
from pipelines.flow.run_folder import StepRecord
from pipelines.loop.context import LoopContext

_LOGGER = logging.getLogger(__name__)


@contextmanager
def tracked_loop(tracker: Tracker, run_key: str, context: LoopContext) -> Iterator[TrackedRun]:
    """The parent run, from the whole configuration to its end; an error ends it as failed and is delivered."""
    config = context.config
    parent = tracker.run(run_key, f"{config.recipe}-seed{config.seed}")
    parent.log_parameters(loop_parameters(config))
    parent.log_tags(code_tags())
    try:
        with system_metrics(parent):
            yield parent
    except BaseException as error:
        parent.finish(_status_of(error))
        tracker.close()
        raise
    parent.finish()


def log_summary(parent: TrackedRun, summary: Summary, context: LoopContext) -> None:
    """The table that a run ends with: every model's metrics, differences from the base, and the scores they are of."""
    metrics = {}
    for model, measurements in summary.models.items():
        for name, measured in measurements.items():
            if measured.value is not None:
                metrics[f"{model}/{name}"] = measured.value
            if measured.difference is not None:
                metrics[f"{model}/{name}.difference"] = measured.difference.value
    parent.log_metrics(metrics | {"wall_s": summary.wall_s})
    if not any(step.skipped for step in summary.steps):
        # What a part of the steps needed says nothing of the whole.
        parent.log_metrics({"peak_memory_bytes": float(summary.peak_memory_bytes)})
    with _or_warn("the report"):
        _log_lineage(parent, report_lineage(context), lambda _: parent)


class TrackedStep:
    """The child run of one step, and below it a run for each training phase of the step."""

    def __init__(self, tracker: Tracker, run_key: str, name: str, context: LoopContext) -> None:
        self._tracker = tracker
        self._run_key = run_key
        self._name = name
        self._context = context
        self._run = tracker.step(run_key, name)
        self._phases: dict[str, TrackedRun] = {}

    def begin(self) -> None:
        """The step is being done, by this code."""
        self._run.log_parameters(step_parameters(self._name, self._context.config))
        self._run.log_tags(code_tags())

    def log_interval(self, phase: str, logged: LoggedStep) -> None:
        """A training interval as a point of its phase's curve; the phases before it are done."""
        if phase not in self._phases:
            for earlier in self._phases:
                self._end_phase(earlier)
            self._begin_phase(phase).log_tags(code_tags())
        _log_interval(self._phases[phase], logged)

    def complete(self, record: StepRecord, results: Results) -> None:
        """All of a step that is done, now or by an earlier run; `results` are its own and those of the steps before."""
        self._run.log_parameters(step_parameters(self._name, self._context.config))
        self._run.log_metrics({"wall_s": record.wall_s, "cpu_s": record.cpu_s, **numbers_in(record.result)})
        named = [str(phase["name"]) for phase in record.result.get("phases", ())]
        for phase in dict.fromkeys([*named, *self._phases]):
            self._begin_phase(phase)
            self._end_phase(phase)
        with _or_warn(f"step {self._name}"):
            _log_lineage(self._run, step_lineage(self._name, self._context, results), self._begin_phase)
        self._run.finish()

    def fail(self, error: BaseException) -> None:
        """The step was broken off, and with it the phase that was under way."""
        for phase in list(self._phases)[-1:]:
            self._phases[phase].finish(_status_of(error))
        self._run.finish(_status_of(error))

    def _begin_phase(self, phase: str) -> TrackedRun:
        if phase not in self._phases:
            run = self._phases[phase] = self._tracker.step(self._run_key, f"{self._name}/{phase}")
            told = TrainingPhase(self._context, self._name, phase)
            with _or_warn(f"phase {phase}"):
                run.log_parameters(told.parameters())
                for dataset in told.data():
                    run.log_dataset(dataset, TRAINING)
        return self._phases[phase]

    def _end_phase(self, phase: str) -> None:
        """The whole curve, of which this process may have seen a part, and what the phase left."""
        run, told = self._phases[phase], TrainingPhase(self._context, self._name, phase)
        with _or_warn(f"phase {phase}"):
            for logged in told.curve():
                _log_interval(run, logged)
            result = told.result()
            if result is not None:
                run.log_parameters(result.parameters())
                run.log_tags(result.tags())
                run.log_metrics({"wall_s": result.wall_s})
        run.finish()


def _log_interval(run: TrackedRun, logged: LoggedStep) -> None:
    run.log_metrics(logged.metrics | logged.speed, logged.step)


def _log_lineage(run: TrackedRun, lineage: StepLineage, run_of_phase: Callable[[str], TrackedRun]) -> None:
    for use in lineage.datasets:
        run.log_dataset(use.dataset, use.part)
    for model in lineage.used:
        run.log_model_input(model)
    for made in lineage.made:
        (run_of_phase(made.phase) if made.phase else run).log_model(made.model, made.alias)


def _status_of(error: BaseException) -> RunStatus:
    return RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED


@contextmanager
def _or_warn(what: str) -> Iterator[None]:
    """Lineage is told of a run, not needed by it: where it cannot be read there is a warning instead."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError) as error:
        _LOGGER.warning("%s is not tracked in full: %s: %s", what, type(error).__name__, error)
