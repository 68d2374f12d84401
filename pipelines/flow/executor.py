"""What runs a pipeline: the protocol, the trace that an item leaves, and the executor within this process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal, Stage, Work


class StageError(RuntimeError):
    """A stage that broke its promise of one outcome of its type for each item."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One item's way: its place in the input, what each stage made of it, and where it was refused."""

    index: int
    outputs: tuple[Any, ...] = ()
    refusal: Refusal | None = None


class Executor(Protocol):
    """Runs items through a pipeline; traces come in any order, each item's exactly once."""

    def run(self, pipeline: Pipeline[Any, Any], items: Sequence[Any]) -> Iterator[Trace]:
        """Yield every item's trace as it is done; an exception of a stage ends the run."""
        ...


@dataclass(frozen=True, slots=True)
class InProcessExecutor:
    """Runs batch after batch in the calling thread."""

    batch_size: int = 32

    def run(self, pipeline: Pipeline[Any, Any], items: Sequence[Any]) -> Iterator[Trace]:
        """Yield traces in the order of the items."""
        stages = OpenStages(pipeline.stages)
        for start in range(0, len(items), self.batch_size):
            batch = items[start : start + self.batch_size]
            traces = stages.run(batch)
            yield from (replace(trace, index=start + trace.index) for trace in traces)


class OpenStages:
    """Stages in a worker, each opened when its first item arrives."""

    def __init__(self, stages: Sequence[Stage[Any, Any]]) -> None:
        self._stages = tuple(stages)
        self._work: dict[str, Work[Any, Any]] = {}

    def run(self, batch: Sequence[Any]) -> list[Trace]:
        """One trace an item; a refused item reaches no later stage."""
        traces = [Trace(index) for index in range(len(batch))]
        records = dict(enumerate(batch))
        for stage in self._stages:
            for index, outcome in self._outcomes(stage, records).items():
                if isinstance(outcome, Refusal):
                    traces[index] = replace(traces[index], refusal=outcome)
                    del records[index]
                else:
                    traces[index] = replace(traces[index], outputs=(*traces[index].outputs, outcome))
                    records[index] = outcome
        return traces

    def _outcomes(self, stage: Stage[Any, Any], records: dict[int, Any]) -> dict[int, Any]:
        if not records:
            return {}
        if stage.name not in self._work:
            self._work[stage.name] = stage.open()
        outcomes = self._work[stage.name](list(records.values()))
        if len(outcomes) != len(records):
            raise StageError(f"stage {stage.name!r} gave {len(outcomes)} outcomes for {len(records)} items")
        for outcome in outcomes:
            if type(outcome) not in (stage.output_type, Refusal):
                expected = stage.output_type.__name__
                raise StageError(
                    f"stage {stage.name!r} gave {type(outcome).__name__}; expected {expected} or a Refusal"
                )
        return dict(zip(records, outcomes, strict=True))
