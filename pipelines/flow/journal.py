"""A run's journal: outcomes at the moment they are there, so that a killed run loses none that was done."""

import fcntl
import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from levo.song.files import writing
from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.batch import DoneBatch
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal

_SUFFIX = ".journal"
_CHAIN = b"chain"
_INPUT, _REFUSAL, _REFUSED_AT = "input", "refusal", "refused_at"


class Journal:
    """An Arrow stream that grows batch by batch; it survives its process, though not a power cut.

    The file is locked for as long as its run lives, so that nobody takes it for a left one.
    """

    def __init__(self, folder: Path, pipeline: Pipeline[Any, Any], chain: Sequence[str]) -> None:
        self._path = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        self._pipeline, self._chain = pipeline, chain
        self._file: Any = None
        self._writer: Any = None

    def note(self, digests: Sequence[str], num_stages: int, done: DoneBatch) -> None:
        """Add what the stages after the first `num_stages` made of the inputs of these digests."""
        columns: dict[str, Any] = {_INPUT: pa.array(digests, pa.string())}
        for place, stage in enumerate(self._pipeline.stages):
            is_done = place >= num_stages
            records = (
                done.outputs[place - num_stages]
                if is_done
                else struct_array_of([None] * len(digests), stage.output_type)
            )
            columns[str(place)] = records
        refused_at = [
            None if refusal is None else num_stages + passed
            for refusal, passed in zip(done.refusals, done.num_passed, strict=True)
        ]
        columns[_REFUSAL] = struct_array_of(done.refusals, Refusal)
        columns[_REFUSED_AT] = pa.array(refused_at, pa.int64())
        batch = pa.record_batch(columns)
        with writing(self._path):
            self._open(batch.schema).write_batch(batch)

    def remove(self) -> None:
        """Forget everything noted: it is remembered elsewhere now."""
        if self._writer is not None:
            self._path.unlink(missing_ok=True)
            # What a full disk still refuses of a file that is gone is nobody's loss.
            with suppress(OSError):
                self._writer.close()
            self._file.close()
            self._writer = None

    def _open(self, schema: pa.Schema) -> Any:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            described = schema.with_metadata({_CHAIN: json.dumps(list(self._chain)).encode()})
            self._writer = pa.ipc.new_stream(self._file, described)
        return self._writer


@dataclass(frozen=True, slots=True)
class LeftJournal:
    """The journal of a run that was killed: outcomes by the stage's place and the input's digest."""

    path: Path
    outcomes: Mapping[int, Mapping[str, Any]]


def left_journals(folder: Path, pipeline: Pipeline[Any, Any], chain: Sequence[str]) -> Iterator[LeftJournal]:
    """What killed runs left; of stages that are others now, and of a last batch cut off, nothing is taken."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            outcomes: dict[int, dict[str, Any]] = defaultdict(dict)
            table = _whole_batches(path)
            if table is not None:
                _take(table, _num_equal(json.loads(table.schema.metadata[_CHAIN]), chain), pipeline, outcomes)
            yield LeftJournal(path, outcomes)


def _whole_batches(path: Path) -> pa.Table | None:
    batches = []
    with pa.OSFile(str(path), "rb") as source, suppress(pa.ArrowInvalid, OSError):
        for batch in pa.ipc.open_stream(source):
            batches.append(batch)
    return pa.Table.from_batches(batches) if batches else None


def _num_equal(left: Sequence[str], chain: Sequence[str]) -> int:
    pairs = zip(left, chain, strict=False)
    return next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(left), len(chain)))


def _take(table: pa.Table, num_stages: int, pipeline: Pipeline[Any, Any], outcomes: dict[int, dict[str, Any]]) -> None:
    digests = [str(digest) for digest in table.column(_INPUT).to_pylist()]
    refused_at = table.column(_REFUSED_AT).to_pylist()
    refusals = records_of_structs(table.column(_REFUSAL), Refusal)
    for place, stage in enumerate(pipeline.stages[:num_stages]):
        records = records_of_structs(table.column(str(place)), stage.output_type)
        outcomes[place] |= {digest: record for digest, record in zip(digests, records, strict=True) if record}
        outcomes[place] |= {
            digest: refusal
            for digest, at, refusal in zip(digests, refused_at, refusals, strict=True)
            if refusal is not None and at == place
        }
