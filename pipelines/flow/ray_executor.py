"""The executor on Ray Data: references travel between pools of actors, and neighbouring stages share an actor."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.data
from ray.exceptions import RayTaskError

from levo.song.files import DiskError
from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import OpenStages, StageError, Trace
from pipelines.flow.pipeline import Pipeline, StageGroup
from pipelines.flow.stage import Refusal

_BATCHES_PER_WORKER = 4
_DISK_ERROR = re.compile(rf"{DiskError.__name__}: (.+)")
_INDEX, _REFUSAL, _SECONDS = "index", "refusal", "seconds"
_SECONDS_TYPE = pa.list_(pa.float64())


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs on the Ray cluster that is already open, up to `num_workers` actors for each group of stages."""

    num_workers: int = 2
    batch_size: int = 32

    def run(
        self, pipeline: Pipeline[Any, Any], items: Sequence[Any], attempts: Attempts | None = None
    ) -> Iterator[Trace]:
        """Yield traces in the order in which blocks are done."""
        if not items:
            return
        ray.data.DataContext.get_current().enable_progress_bars = False
        batch_size = self._batch_size(len(items))
        num_workers = min(self.num_workers, len(items))
        # A small table arrives as one block, which one actor would do alone.
        dataset = ray.data.from_arrow(_input_table(pipeline, items)).repartition(target_num_rows_per_block=batch_size)
        for group in pipeline.groups:
            dataset = dataset.map_batches(
                _Worker,
                fn_constructor_args=(group, attempts),
                batch_size=batch_size,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=num_workers),
                num_cpus=group.resources.num_cpus,
                num_gpus=group.resources.num_gpus,
            )
        try:
            for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from _traces(block, pipeline)
        except RayTaskError as error:
            refused = _DISK_ERROR.search(str(error))
            if refused:
                raise OSError(f"a worker failed: {refused[1]}") from error
            raise StageError(f"a worker failed: {_last_error(str(error))}") from error

    def _batch_size(self, num_items: int) -> int:
        """Smaller for few items, so that every worker has several batches and none ends long after the others."""
        return max(1, min(self.batch_size, -(-num_items // (_BATCHES_PER_WORKER * self.num_workers))))


class _Worker:
    def __init__(self, group: StageGroup, attempts: Attempts | None) -> None:
        self._group = group
        self._stages = OpenStages(group.stages, attempts)

    def __call__(self, block: pa.Table) -> pa.Table:
        alive = block.column(_REFUSAL).is_null()
        inputs = block.column(_output_column(self._group.start - 1)).filter(alive)
        records = records_of_structs(inputs, self._group.stages[0].input_type)
        traces = self._stages.run(records)
        places = [place for place, is_alive in enumerate(alive.to_pylist()) if is_alive]
        return _extended(block, self._group, dict(zip(places, traces, strict=True)))


def _extended(block: pa.Table, group: StageGroup, traces: dict[int, Trace]) -> pa.Table:
    for step, stage in enumerate(group.stages):
        outputs = [None] * block.num_rows
        for place, trace in traces.items():
            outputs[place] = trace.outputs[step] if step < len(trace.outputs) else None
        name = _output_column(group.start + step)
        block = block.append_column(name, struct_array_of(outputs, stage.output_type))
    refusals = records_of_structs(block.column(_REFUSAL), Refusal)
    for place, trace in traces.items():
        refusals[place] = trace.refusal
    seconds: list[Any] = block.column(_SECONDS).to_pylist()
    for place, trace in traces.items():
        seconds[place] = [*seconds[place], *trace.seconds]
    block = block.set_column(block.column_names.index(_SECONDS), _SECONDS, pa.array(seconds, _SECONDS_TYPE))
    return block.set_column(block.column_names.index(_REFUSAL), _REFUSAL, struct_array_of(refusals, Refusal))


def _input_table(pipeline: Pipeline[Any, Any], items: Sequence[Any]) -> pa.Table:
    return pa.table(
        {
            _INDEX: pa.array(range(len(items)), type=pa.int64()),
            _output_column(-1): struct_array_of(items, pipeline.input_type),
            _REFUSAL: struct_array_of([None] * len(items), Refusal),
            _SECONDS: pa.array([[]] * len(items), _SECONDS_TYPE),
        }
    )


def _traces(block: pa.Table, pipeline: Pipeline[Any, Any]) -> list[Trace]:
    columns = [
        records_of_structs(block.column(_output_column(place)), stage.output_type)
        for place, stage in enumerate(pipeline.stages)
    ]
    refusals = records_of_structs(block.column(_REFUSAL), Refusal)
    seconds: list[Any] = block.column(_SECONDS).to_pylist()
    rows = zip(block.column(_INDEX).to_numpy().tolist(), zip(*columns, strict=True), refusals, seconds, strict=True)
    return [
        Trace(index, tuple(output for output in outputs if output is not None), refusal, tuple(took))
        for index, outputs, refusal, took in rows
    ]


def _last_error(report: str) -> str:
    # Ray's own wrappers follow the stage's exception, each after this line.
    own = report.split("The above exception was the direct cause")[0]
    return own.strip().splitlines()[-1].strip()


def _output_column(place: int) -> str:
    return "input" if place < 0 else f"stage_{place}"
