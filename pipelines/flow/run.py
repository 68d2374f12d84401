"""One run of a flow: what is remembered is not done again, what is done is remembered at once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Generic, TypeVar

import pyarrow as pa

from levo.song.schema import struct_array_of
from pipelines.flow.attempts import Attempts
from pipelines.flow.batch import FAILED, DoneBatch
from pipelines.flow.executor import Executor, Noting, StageError
from pipelines.flow.identity import record_digest
from pipelines.flow.journal import RunJournals
from pipelines.flow.memory import Memory, MemoryIndex, Outcomes, Remembered
from pipelines.flow.metering import FlowMeter
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal
from pipelines.observability.metrics import live_metrics

First = TypeVar("First")
Last = TypeVar("Last")

REMEMBER_EVERY_S = 30.0
PART_SIZE = 4096
"""Items that are in memory at a time: enough for the start of a part's workers to be a small share of its work."""
# More failures than these, and than this share of the items, are no odd items but a flow that does not work.
_FEW_FAILURES = 10
_MAX_FAILED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: items done of all, refused ones among them, and those that an earlier run had done."""

    num_done: int
    num_items: int
    num_refused: int
    num_reused: int


ProgressCallback = Callable[[Progress], None]
Weigh = Callable[[Any], int]


@dataclass(frozen=True, slots=True)
class FlowResult(Generic[Last]):
    """One outcome an item, in the items' order, and what those took that were not done before.

    `stage_seconds` are the seconds of all workers of a stage together; `added_weight` is what the stages added by the
    measure that the run was given.
    """

    outcomes: tuple[Last | Refusal, ...]
    num_reused: int
    stage_seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    added_weight: int = 0

    @property
    def records(self) -> tuple[Last, ...]:
        """What the last stage gave, in the items' order."""
        return tuple(outcome for outcome in self.outcomes if not isinstance(outcome, Refusal))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The items that could not be used, in the items' order."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Refusal))


def run_flow(
    pipeline: Pipeline[First, Last],
    items: Sequence[First],
    executor: Executor,
    memory: Memory | None = None,
    progress: ProgressCallback | None = None,
    attempts: Attempts | None = None,
) -> FlowResult[Last]:
    """Run every item through the pipeline, from the first stage whose outcome is not remembered.

    An exception in a stage ends the run, or with `attempts` refuses the item: see `Executor.run`. However a run ends,
    a kill included, the items whose traces came are remembered. Raises `StageError` where more than a tenth of the
    items (and more than a few) fail: their refusals are not remembered then.
    """
    (result,) = run_in_parts(pipeline, items, executor, memory, progress, attempts, part_size=max(len(items), 1))
    return result


def run_in_parts(
    pipeline: Pipeline[First, Last],
    items: Sequence[First],
    executor: Executor,
    memory: Memory | None = None,
    progress: ProgressCallback | None = None,
    attempts: Attempts | None = None,
    part_size: int = PART_SIZE,
    weigh: Weigh = lambda _record: 0,
) -> Iterator[FlowResult[Last]]:
    """As `run_flow`, for items that are more than memory holds: each part's result in turn, in the items' order.

    A part begins when the one before it has ended and been taken. `items` are asked for a part at a time. `weigh`
    measures a record, or a refusal; what a run adds to it is told.
    """
    counts, meter = _Counts(len(items), progress), FlowMeter(live_metrics())
    index, journals = None, None
    if memory:
        memory.recover(pipeline, pipeline.chain)
        index, journals = memory.index(pipeline), memory.journals()
    try:
        for start in range(0, max(len(items), 1), part_size):
            run = _Run(pipeline, items[start : start + part_size], memory, index, counts, meter)
            for num_stages, places in run.open_places().items():
                noting = run.noting(journals, num_stages, places)
                rest = pipeline.after(num_stages)
                try:
                    for done in executor.run(rest, [run.latest[place] for place in places], attempts, noting):
                        run.take(num_stages, places, done)
                finally:
                    run.flush()
                if journals:
                    journals.remove()
            run.remember_failures()
            yield run.result(weigh)
    finally:
        if journals:
            journals.close()


class _Counts:
    """How far all parts are."""

    def __init__(self, num_items: int, progress: ProgressCallback | None) -> None:
        self._num_items, self._progress = num_items, progress
        self._num_done = self._num_refused = self._num_reused = 0

    def add(self, *, done: int, refused: int, reused: int = 0) -> None:
        """Count items and tell."""
        self._num_done += done
        self._num_refused += refused
        self._num_reused += reused
        if self._progress:
            self._progress(Progress(self._num_done, self._num_items, self._num_refused, self._num_reused))


class _Run:
    """One part of a run."""

    def __init__(
        self,
        pipeline: Pipeline[Any, Any],
        items: Sequence[Any],
        memory: Memory | None,
        index: MemoryIndex | None,
        counts: _Counts,
        meter: FlowMeter,
    ) -> None:
        self._pipeline, self._memory, self._counts, self._meter = pipeline, memory, counts, meter
        self._chain = pipeline.chain
        self._digests = [record_digest(item) for item in items] if memory else []
        self._pending: dict[int, list[Outcomes]] = defaultdict(list)
        self._failures: dict[int, dict[str, Any]] = defaultdict(dict)
        self._flushed_at_s = monotonic()
        self._start = [Remembered(0, item) for item in items]
        if memory and index:
            known = index.recall(self._digests)
            self._start = [known.get(digest, new) for digest, new in zip(self._digests, self._start, strict=True)]
        self.latest: list[Any] = [start.outcome for start in self._start]
        self.stage_seconds: dict[str, float] = defaultdict(float)
        self.num_reused = len(items) - sum(map(len, self.open_places().values()))
        num_refused = sum(isinstance(outcome, Refusal) for outcome in self.latest)
        counts.add(done=self.num_reused, refused=num_refused, reused=self.num_reused)

    def open_places(self) -> dict[int, list[int]]:
        """The items that are not done, by the number of stages they have passed."""
        places: dict[int, list[int]] = defaultdict(list)
        for place, start in enumerate(self._start):
            if start.num_stages < len(self._pipeline.stages) and not isinstance(start.outcome, Refusal):
                places[start.num_stages].append(place)
        return places

    def noting(self, journals: RunJournals | None, num_stages: int, places: Sequence[int]) -> Noting | None:
        """Where the workers note what becomes of these items; nowhere without a memory."""
        if journals is None:
            return None
        return Noting(journals.order(self._pipeline, num_stages), [self._digests[place] for place in places])

    def take(self, num_stages: int, places: Sequence[int], done: DoneBatch) -> None:
        """Note what the stages after the first `num_stages` made of a batch; `places` are by its indices."""
        self._meter.take(self._pipeline.stages[num_stages:], done)
        batch_places = [places[index] for index in done.indices]
        for place, outcome in zip(batch_places, done.outcomes(self._pipeline), strict=True):
            self.latest[place] = outcome
        for took in done.seconds:
            for stage, took_s in zip(self._pipeline.stages[num_stages:], took, strict=False):
                self.stage_seconds[stage.name] += took_s
        if self._memory:
            digests = [self._digests[place] for place in batch_places]
            lasting = self._without_failures(num_stages, digests, done)
            for step in range(len(done.outputs)):
                self._pending[num_stages + step].append(_outcomes_of(step, digests, lasting))
            if monotonic() - self._flushed_at_s > REMEMBER_EVERY_S:
                self.flush()
        self._counts.add(done=len(done.indices), refused=sum(refusal is not None for refusal in done.refusals))

    def result(self, weigh: Weigh) -> FlowResult[Any]:
        """Everything that came of the items."""
        before = sum(weigh(start.outcome) for start in self._start)
        added = sum(map(weigh, self.latest)) - before
        return FlowResult(tuple(self.latest), self.num_reused, dict(self.stage_seconds), added)

    def flush(self) -> None:
        """Write what is not yet remembered."""
        if self._memory:
            for place, parts in self._pending.items():
                self._memory.add(self._pipeline.stages[place], self._chain[place], _joined(parts))
        self._pending.clear()
        self._flushed_at_s = monotonic()

    def remember_failures(self) -> None:
        """Remember the items that failed, now that the others did not."""
        if self._memory:
            self._memory.remember(self._pipeline, self._failures, self._chain)

    def _without_failures(self, num_stages: int, digests: Sequence[str], done: DoneBatch) -> DoneBatch:
        """The batch as it is remembered at once; failures wait for what becomes of the other items."""
        for place, refusal in enumerate(done.refusals):
            if refusal is not None and refusal.reason == FAILED:
                self._failures[num_stages + done.num_passed[place]][digests[place]] = refusal
                self._check_failures(refusal)
        return replace(done, refusals=done.lasting_refusals)

    def _check_failures(self, last: Refusal) -> None:
        num_failed = sum(map(len, self._failures.values()))
        if num_failed > max(_FEW_FAILURES, _MAX_FAILED_SHARE * len(self.latest)):
            raise StageError(
                f"{num_failed} of {len(self.latest)} items failed; the last, {last.item_id}, in stage {last.stage!r}: "
                f"{last.detail}"
            )


def _outcomes_of(step: int, digests: Sequence[str], done: DoneBatch) -> Outcomes:
    """The outcomes of the stage at `step`, of those items that passed it or were refused there."""
    refused = [
        refusal if passed == step else None for refusal, passed in zip(done.refusals, done.num_passed, strict=True)
    ]
    kept = [
        place
        for place, (passed, refusal) in enumerate(zip(done.num_passed, refused, strict=True))
        if passed > step or refusal is not None
    ]
    return Outcomes(
        tuple(digests[place] for place in kept),
        done.outputs[step].take(pa.array(kept, pa.int64())),
        struct_array_of([refused[place] for place in kept], Refusal),
    )


def _joined(parts: Sequence[Outcomes]) -> Outcomes:
    return Outcomes(
        tuple(digest for part in parts for digest in part.digests),
        pa.concat_arrays([part.records for part in parts]),
        pa.concat_arrays([part.refusals for part in parts]),
    )
