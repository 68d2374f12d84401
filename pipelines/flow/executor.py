"""What runs a pipeline: the protocol, the trace that an item leaves, and the executor within this process."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar, Protocol

from pipelines.flow.attempts import Attempts
from pipelines.flow.batch import FAILED, DoneBatch, Trace, batch_of
from pipelines.flow.identity import record_digest
from pipelines.flow.journal import JournalOrder
from pipelines.flow.model_source import ChangedModelError
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal, Stage, Work, item_id
from pipelines.observability.logs import log_context

KILLED = "killed its worker"
_LOGGER = logging.getLogger(__name__)


class StageError(RuntimeError):
    """A stage that broke its promise of one outcome of its type for each item."""


class _ItemError(Exception):
    """A stage raised; its cause tells what, and `outputs` what the stages before it made of the batch's first item."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage
        self.outputs: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Noting:
    """Where outcomes are noted as they are there, and the digest of each item's first input."""

    order: JournalOrder
    digests: Sequence[str]


class Executor(Protocol):
    """Runs items through a pipeline; each item is in one batch, and batches come as they are done."""

    @property
    def num_workers(self) -> int:
        """How many items are worked on at once, at most."""
        ...

    def run(
        self,
        pipeline: Pipeline[Any, Any],
        items: Sequence[Any],
        attempts: Attempts | None = None,
        noting: Noting | None = None,
    ) -> Iterator[DoneBatch]:
        """Yield what became of every item, those of a batch together; with `noting` whoever worked notes it first.

        With `attempts`, an item that kills its worker again and again, or whose stage raises even when it is tried
        alone, is refused and the others go on; without, an exception of a stage ends the run. What the disk or the
        network refuses always ends it.
        """
        ...


@dataclass(frozen=True, slots=True)
class InProcessExecutor:
    """Runs batch after batch in the calling thread."""

    batch_size: int = 32
    num_workers: ClassVar[int] = 1

    def run(
        self,
        pipeline: Pipeline[Any, Any],
        items: Sequence[Any],
        attempts: Attempts | None = None,
        noting: Noting | None = None,
    ) -> Iterator[DoneBatch]:
        """Yield batches in the order of the items."""
        stages = OpenStages(pipeline.stages, attempts)
        journal = None if noting is None else noting.order.open()
        for start in range(0, len(items), self.batch_size):
            batch = items[start : start + self.batch_size]
            traces = stages.run(batch)
            done = batch_of([replace(trace, index=start + trace.index) for trace in traces], pipeline)
            if journal is not None and noting is not None:
                journal.note(noting.digests[start : start + len(batch)], done)
            yield done


class OpenStages:
    """Stages in a worker, each opened when its first item arrives, or all of them when told to."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], attempts: Attempts | None = None) -> None:
        self._stages = tuple(stages)
        self._attempts = attempts
        self._work: dict[str, Work[Any, Any]] = {}
        self._took_s = 0.0

    def open(self) -> None:
        """Open all stages now."""
        for stage in self._stages:
            self._opened(stage)

    def run(self, batch: Sequence[Any]) -> list[Trace]:
        """One trace an item; a refused item reaches no later stage."""
        attempts = self._attempts
        if attempts is None:
            return self._traces(batch)
        keys = [record_digest(item) for item in batch]
        suspects = {place for place, key in enumerate(keys) if attempts.is_suspect(key)}
        calm = [place for place in range(len(batch)) if place not in suspects]
        marked = self._marked([batch[place] for place in calm], [keys[place] for place in calm], attempts)
        traces = dict(zip(calm, marked, strict=True))
        traces |= {place: self._suspect(batch[place], keys[place], attempts) for place in sorted(suspects)}
        return [replace(traces[place], index=place) for place in range(len(batch))]

    def _suspect(self, item: Any, key: str, attempts: Attempts) -> Trace:
        tried = attempts.tried_alone(key)
        if tried < attempts.budget:
            return self._marked([item], [key], attempts)[0]
        detail = f"{tried} workers ended while they had it alone; `replay` has it tried again"
        attempts.end([key])
        return Trace(0, refusal=Refusal(item_id(item), self._stages[0].name, KILLED, detail))

    def _marked(self, batch: Sequence[Any], keys: Sequence[str], attempts: Attempts) -> list[Trace]:
        """The traces of items that are marked for as long as they are worked on."""
        attempts.begin(keys, alone=len(batch) == 1)
        try:
            return self._guarded(batch)
        finally:
            # An error that is raised is no kill; only what ends the whole process leaves its marks.
            attempts.end(keys)

    def _guarded(self, batch: Sequence[Any]) -> list[Trace]:
        """The traces, with a refusal for an item on which a stage raises even when it has it alone."""
        try:
            return self._traces(batch)
        except _ItemError as error:
            if len(batch) > 1:
                return [self._guarded([item])[0] for item in batch]
            detail = f"{type(error.__cause__).__name__}: {error.__cause__}"
            return [Trace(0, error.outputs, Refusal(item_id(batch[0]), error.stage, FAILED, detail))]

    def _traces(self, batch: Sequence[Any]) -> list[Trace]:
        traces = [Trace(index) for index in range(len(batch))]
        records = dict(enumerate(batch))
        for stage in self._stages:
            try:
                outcomes = self._outcomes(stage, records)
            except _ItemError as error:
                error.outputs = traces[0].outputs
                raise
            took_s = self._took_s / max(len(outcomes), 1)
            for index, outcome in outcomes.items():
                trace = replace(traces[index], seconds=(*traces[index].seconds, took_s))
                if isinstance(outcome, Refusal):
                    traces[index] = replace(trace, refusal=outcome)
                    del records[index]
                else:
                    traces[index] = replace(trace, outputs=(*trace.outputs, outcome))
                    records[index] = outcome
        return traces

    def _outcomes(self, stage: Stage[Any, Any], records: dict[int, Any]) -> dict[int, Any]:
        if not records:
            return {}
        self._opened(stage)
        began = perf_counter()
        outcomes = self._worked(stage, list(records.values()))
        self._took_s = perf_counter() - began
        if len(outcomes) != len(records):
            raise StageError(f"stage {stage.name!r} gave {len(outcomes)} outcomes for {len(records)} items")
        for outcome in outcomes:
            if type(outcome) not in (stage.output_type, Refusal):
                expected = stage.output_type.__name__
                raise StageError(
                    f"stage {stage.name!r} gave {type(outcome).__name__}; expected {expected} or a Refusal"
                )
        return dict(zip(records, outcomes, strict=True))

    def _opened(self, stage: Stage[Any, Any]) -> Work[Any, Any]:
        if stage.name not in self._work:
            self._work[stage.name] = stage.open()
        return self._work[stage.name]

    def _worked(self, stage: Stage[Any, Any], records: Sequence[Any]) -> Sequence[Any]:
        ids = tuple(map(item_id, records))
        with log_context(stage=stage.name, song=ids[0] if len(ids) == 1 else None, songs=ids if len(ids) > 1 else ()):
            try:
                return self._opened(stage)(records)
            except (OSError, StageError, ChangedModelError):
                raise
            except Exception as error:  # whatever a model's library raises on one odd song
                if self._attempts is None:
                    raise
                if len(ids) == 1:
                    _LOGGER.warning("the stage raised on a song that it had alone", exc_info=error)
                raise _ItemError(stage.name) from error
