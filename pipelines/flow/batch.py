"""What a batch of items became, as Arrow columns: how it travels, and how it is remembered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal

FAILED = "failed in a stage"


@dataclass(frozen=True, slots=True)
class Trace:
    """One item's way: its place in the input, what each stage made of it, where it was refused, and what that took.

    `seconds` has one number for each stage that it reached: its share of the time that the stage took for its batch.
    """

    index: int
    outputs: tuple[Any, ...] = ()
    refusal: Refusal | None = None
    seconds: tuple[float, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class DoneBatch:
    """Items by their indices; each stage's records (null where an item did not pass it), refusals, and seconds a stage.

    `num_passed` counts the stages that an item passed; its outcome is a refusal, or the last stage's record.
    """

    indices: tuple[int, ...]
    num_passed: tuple[int, ...]
    outputs: tuple[pa.StructArray, ...]
    refusals: tuple[Refusal | None, ...]
    seconds: tuple[tuple[float, ...], ...]

    @property
    def lasting_refusals(self) -> tuple[Refusal | None, ...]:
        """The refusals that are verdicts; a failure is none: whether it lasts depends on the other items."""
        return tuple(None if refusal is None or refusal.reason == FAILED else refusal for refusal in self.refusals)

    def outcomes(self, pipeline: Pipeline[Any, Any]) -> list[Any]:
        """Each item's outcome."""
        last = records_of_structs(pa.chunked_array([self.outputs[-1]]), pipeline.output_type)
        return [record if refusal is None else refusal for record, refusal in zip(last, self.refusals, strict=True)]


def batch_of(traces: Sequence[Trace], pipeline: Pipeline[Any, Any]) -> DoneBatch:
    """Traces of items as columns."""
    return DoneBatch(
        tuple(trace.index for trace in traces),
        tuple(len(trace.outputs) for trace in traces),
        tuple(
            struct_array_of(
                [trace.outputs[place] if place < len(trace.outputs) else None for trace in traces], stage.output_type
            )
            for place, stage in enumerate(pipeline.stages)
        ),
        tuple(trace.refusal for trace in traces),
        tuple(trace.seconds for trace in traces),
    )
