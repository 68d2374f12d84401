"""One run of a flow: what is remembered is not done again, what is done is remembered at once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import FAILED, Executor, StageError, Trace
from pipelines.flow.identity import chain_identities, record_digest
from pipelines.flow.memory import Memory, Remembered
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal

First = TypeVar("First")
Last = TypeVar("Last")

REMEMBER_EVERY_S = 30.0
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


@dataclass(frozen=True, slots=True)
class FlowResult(Generic[Last]):
    """One outcome an item, in the items' order."""

    outcomes: tuple[Last | Refusal, ...]
    num_reused: int

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
    run = _Run(pipeline, items, memory, progress)
    for num_stages, places in run.open_places().items():
        rest = pipeline.after(num_stages)
        try:
            for trace in executor.run(rest, [run.latest[place] for place in places], attempts):
                run.take(num_stages, places[trace.index], trace)
        finally:
            run.flush()
    run.remember_failures()
    return FlowResult(tuple(run.latest), run.num_reused)


class _Run:
    def __init__(
        self,
        pipeline: Pipeline[Any, Any],
        items: Sequence[Any],
        memory: Memory | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._pipeline, self._memory, self._progress = pipeline, memory, progress
        self._chain = chain_identities(pipeline.stages)
        self._digests = [record_digest(item) for item in items] if memory else []
        self._pending: dict[int, dict[str, Any]] = defaultdict(dict)
        self._failures: dict[int, dict[str, Any]] = defaultdict(dict)
        self._flushed_at_s = monotonic()
        self._start = [Remembered(0, item) for item in items]
        if memory:
            memory.recover(pipeline, self._chain)
            self._journal = memory.journal(pipeline, self._chain)
            known = memory.recall(pipeline, self._digests)
            self._start = [known.get(digest, new) for digest, new in zip(self._digests, self._start, strict=True)]
        self.latest: list[Any] = [start.outcome for start in self._start]
        self.num_reused = len(items) - sum(map(len, self.open_places().values()))
        self._num_done = self.num_reused
        self._num_refused = sum(isinstance(outcome, Refusal) for outcome in self.latest)
        self._report()

    def open_places(self) -> dict[int, list[int]]:
        """The items that are not done, by the number of stages they have passed."""
        places: dict[int, list[int]] = defaultdict(list)
        for place, start in enumerate(self._start):
            if start.num_stages < len(self._pipeline.stages) and not isinstance(start.outcome, Refusal):
                places[start.num_stages].append(place)
        return places

    def take(self, num_stages: int, place: int, trace: Trace) -> None:
        """Note one item's trace through the stages after the first `num_stages`."""
        outcomes = [*trace.outputs, *([trace.refusal] if trace.refusal else [])]
        self.latest[place] = outcomes[-1]
        self._num_done += 1
        self._num_refused += trace.refusal is not None
        if self._memory:
            self._note(num_stages, self._digests[place], outcomes)
            if monotonic() - self._flushed_at_s > REMEMBER_EVERY_S:
                self.flush()
        self._report()

    def flush(self) -> None:
        """Write what is not yet remembered."""
        if self._memory:
            self._memory.remember(self._pipeline, self._pending, self._chain)
            self._journal.remove()
            self._journal = self._memory.journal(self._pipeline, self._chain)
        self._pending.clear()
        self._flushed_at_s = monotonic()

    def remember_failures(self) -> None:
        """Remember the items that failed, now that the others did not."""
        if self._memory:
            self._memory.remember(self._pipeline, self._failures, self._chain)

    def _note(self, num_stages: int, digest: str, outcomes: list[Any]) -> None:
        last = outcomes[-1]
        if isinstance(last, Refusal) and last.reason == FAILED:
            outcomes = outcomes[:-1]
            self._failures[num_stages + len(outcomes)][digest] = last
            self._check_failures(last)
        for step, outcome in enumerate(outcomes):
            self._pending[num_stages + step][digest] = outcome
        if outcomes:
            self._journal.note(digest, num_stages, outcomes)

    def _check_failures(self, last: Refusal) -> None:
        num_failed = sum(map(len, self._failures.values()))
        if num_failed > max(_FEW_FAILURES, _MAX_FAILED_SHARE * len(self.latest)):
            raise StageError(
                f"{num_failed} of {len(self.latest)} items failed; the last, {last.item_id}, in stage {last.stage!r}: "
                f"{last.detail}"
            )

    def _report(self) -> None:
        if self._progress:
            self._progress(Progress(self._num_done, len(self.latest), self._num_refused, self.num_reused))
