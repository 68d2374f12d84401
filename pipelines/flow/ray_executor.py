"""The executor on Ray Data: references travel between pools of actors, and neighbouring stages share an actor."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
from ray.exceptions import RayTaskError

from levo.song.files import DiskError
from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.attempts import Attempts
from pipelines.flow.batch import DoneBatch, Trace
from pipelines.flow.executor import Noting, OpenStages, StageError
from pipelines.flow.journal import JournalOrder
from pipelines.flow.pipeline import Pipeline, StageGroup
from pipelines.flow.stage import Refusal
from pipelines.observability.logs import LogContext, current_context, log_context

_BATCHES_PER_WORKER = 4
_DISK_ERROR = re.compile(rf"{DiskError.__name__}: (.+)")
_INDEX, _REFUSAL, _SECONDS = "index", "refusal", "seconds"
_NUMBER, _BATCH, _DIGEST = "id", "batch", "digest"
_SECONDS_TYPE = pa.list_(pa.float64())


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs on the Ray cluster that is already open, up to `num_workers` actors for each group of stages."""

    num_workers: int = 2
    batch_size: int = 32

    def run(
        self,
        pipeline: Pipeline[Any, Any],
        items: Sequence[Any],
        attempts: Attempts | None = None,
        noting: Noting | None = None,
    ) -> Iterator[DoneBatch]:
        """Yield batches in the order in which they are done."""
        if not items:
            return
        ray.data.DataContext.get_current().enable_progress_bars = False
        batch_size = self._batch_size(len(items))
        num_workers = min(self.num_workers, len(items))
        num_batches = -(-len(items) // batch_size)
        # Numbers of batches travel to the first workers, which have the items: no task is needed to cut them up.
        dataset = ray.data.range(num_batches, override_num_blocks=num_batches)
        given = _Items(ray.put(_input_table(pipeline, items, noting)), batch_size)
        for group in pipeline.groups:
            dataset = dataset.map_batches(
                _Worker,
                fn_constructor_args=(
                    group,
                    attempts,
                    noting and noting.order,
                    given if group.start == 0 else None,
                    current_context(),
                ),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=num_workers),
                num_cpus=group.resources.num_cpus,
                num_gpus=group.resources.num_gpus,
            )
        try:
            for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for batch in _unpacked(block):
                    yield _done(batch, range(len(pipeline.stages)))
        except RayTaskError as error:
            refused = _DISK_ERROR.search(str(error))
            if refused:
                raise OSError(f"a worker failed: {refused[1]}") from error
            raise StageError(f"a worker failed: {_last_error(str(error))}") from error

    def _batch_size(self, num_items: int) -> int:
        """Smaller for few items, so that every worker has several batches and none ends long after the others."""
        return max(1, min(self.batch_size, -(-num_items // (_BATCHES_PER_WORKER * self.num_workers))))


@dataclass(frozen=True, slots=True)
class _Items:
    """A reference of the table of all items, and how many rows of it are a batch."""

    table: Any
    batch_size: int


class _Worker:
    def __init__(
        self,
        group: StageGroup,
        attempts: Attempts | None,
        order: JournalOrder | None,
        items: _Items | None,
        context: LogContext,
    ) -> None:
        self._group, self._context = group, context
        self._journal = None if order is None else order.open()
        self._stages = OpenStages(group.stages, attempts)
        self._batch_size = items.batch_size if items else 0
        self._table: pa.Table | None = ray.get(items.table) if items else None

    def __call__(self, block: pa.Table) -> pa.Table:
        with log_context(self._context):
            return _packed([self._worked(batch) for batch in self._batches(block)])

    def _batches(self, block: pa.Table) -> Iterable[pa.Table]:
        if self._table is None:
            return _unpacked(block)
        starts = (int(number) * self._batch_size for number in block.column(_NUMBER).to_numpy())
        return (self._table.slice(start, self._batch_size) for start in starts)

    def _worked(self, block: pa.Table) -> pa.Table:
        alive = block.column(_REFUSAL).is_null()
        inputs = block.column(_output_column(self._group.start - 1)).filter(alive)
        records = records_of_structs(inputs, self._group.stages[0].input_type)
        traces = self._stages.run(records)
        places = [place for place, is_alive in enumerate(alive.to_pylist()) if is_alive]
        extended = _extended(block, self._group, dict(zip(places, traces, strict=True)))
        if self._journal is not None and places:
            mine = extended.filter(alive)
            digests = [str(digest) for digest in mine.column(_DIGEST).to_pylist()]
            group = range(self._group.start, self._group.start + len(self._group.stages))
            self._journal.note(digests, _done(mine, group), self._group.start)
        return extended


def _packed(batches: Sequence[pa.Table]) -> pa.Table:
    """A row a batch, which holds it as an Arrow stream: what Ray does with every block grows with its columns."""
    streams = []
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_table(batch)
        streams.append(sink.getvalue().to_pybytes())
    return pa.table({_BATCH: pa.array(streams, pa.large_binary())})


def _unpacked(block: pa.Table) -> Iterator[pa.Table]:
    for stream in block.column(_BATCH):
        yield pa.ipc.open_stream(stream.as_buffer()).read_all()


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


def _input_table(pipeline: Pipeline[Any, Any], items: Sequence[Any], noting: Noting | None) -> pa.Table:
    return pa.table(
        {
            _INDEX: pa.array(range(len(items)), type=pa.int64()),
            _DIGEST: pa.array([None] * len(items) if noting is None else noting.digests, pa.string()),
            _output_column(-1): struct_array_of(items, pipeline.input_type),
            _REFUSAL: struct_array_of([None] * len(items), Refusal),
            _SECONDS: pa.array([[]] * len(items), _SECONDS_TYPE),
        }
    )


def _done(block: pa.Table, stages: Iterable[int]) -> DoneBatch:
    """What the stages at these places made of a block's items."""
    outputs: list[Any] = [block.column(_output_column(place)).combine_chunks() for place in stages]
    passed = np.sum([output.is_valid().to_numpy(zero_copy_only=False) for output in outputs], axis=0)
    seconds: list[Any] = block.column(_SECONDS).to_pylist()
    return DoneBatch(
        tuple(block.column(_INDEX).to_numpy().tolist()),
        tuple(passed.tolist()),
        tuple(outputs),
        tuple(records_of_structs(block.column(_REFUSAL), Refusal)),
        tuple(map(tuple, seconds)),
    )


def _last_error(report: str) -> str:
    # Ray's own wrappers follow the stage's exception, each after this line.
    own = report.split("The above exception was the direct cause")[0]
    return own.strip().splitlines()[-1].strip()


def _output_column(place: int) -> str:
    return "input" if place < 0 else f"stage_{place}"
