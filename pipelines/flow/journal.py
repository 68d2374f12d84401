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

_SUFFIX, _LOCK_SUFFIX = ".journal", ".run"
_CHAIN = b"chain"
_INPUT, _REFUSAL, _REFUSED_AT = "input", "refusal", "refused_at"


@dataclass(frozen=True, slots=True)
class JournalOrder:
    """Where the workers of a run note what the stages after the first `num_stages` of a pipeline made."""

    folder: Path
    run: str
    pipeline: Pipeline[Any, Any]
    num_stages: int

    def open(self) -> "Journal":
        """A journal of the caller's own; its file begins with the first note."""
        return Journal(self)


class Journal:
    """An Arrow stream that grows batch by batch, written by whoever does the work; it survives its process."""

    def __init__(self, order: JournalOrder) -> None:
        self._order = order
        self._path = order.folder / f"{order.run}-{uuid.uuid4().hex}{_SUFFIX}"
        self._file: Any = None
        self._writer: Any = None

    def note(self, digests: Sequence[str], done: DoneBatch, start: int = 0) -> None:
        """Add what the stages from `start` on (of those that the order is for) made of the inputs of these digests.

        A failure is left out: whether it lasts depends on what becomes of the other items.
        """
        first, columns = self._order.num_stages + start, dict[str, Any]()
        columns[_INPUT] = pa.array(digests, pa.string())
        for place, stage in enumerate(self._order.pipeline.stages):
            is_done = first <= place < first + len(done.outputs)
            nothing = [None] * len(digests)
            columns[str(place)] = (
                done.outputs[place - first] if is_done else struct_array_of(nothing, stage.output_type)
            )
        lasting = done.lasting_refusals
        places = [
            None if refusal is None else first + passed
            for refusal, passed in zip(lasting, done.num_passed, strict=True)
        ]
        columns |= {_REFUSAL: struct_array_of(lasting, Refusal), _REFUSED_AT: pa.array(places, pa.int64())}
        batch = pa.record_batch(columns)
        with writing(self._path):
            self._open(batch.schema).write_batch(batch)

    def _open(self, schema: pa.Schema) -> Any:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
            described = schema.with_metadata({_CHAIN: json.dumps(list(self._order.pipeline.chain)).encode()})
            self._writer = pa.ipc.new_stream(self._file, described)
        return self._writer


class RunJournals:
    """The journals of one run, whose lock says for as long as the run lives that nobody may take them for left ones."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._run = folder, uuid.uuid4().hex
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._lock_file.open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def order(self, pipeline: Pipeline[Any, Any], num_stages: int) -> JournalOrder:
        """For workers that do the stages after the first `num_stages`."""
        return JournalOrder(self._folder, self._run, pipeline, num_stages)

    def remove(self) -> None:
        """Forget everything noted: it is remembered elsewhere now."""
        for path in self._folder.glob(f"{self._run}-*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go; what is still noted is the next run's to take over."""
        self._lock_file.unlink(missing_ok=True)
        self._lock.close()

    @property
    def _lock_file(self) -> Path:
        return self._folder / f"{self._run}{_LOCK_SUFFIX}"


@dataclass(frozen=True, slots=True)
class LeftJournal:
    """The journal of a run that was killed: outcomes by the stage's place and the input's digest."""

    path: Path
    outcomes: Mapping[int, Mapping[str, Any]]


def left_journals(folder: Path, pipeline: Pipeline[Any, Any], chain: Sequence[str]) -> Iterator[LeftJournal]:
    """What killed runs left; of stages that are others now, and of a last batch cut off, nothing is taken."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if _lives(folder / f"{path.name.partition('-')[0]}{_LOCK_SUFFIX}"):
            continue
        outcomes: dict[int, dict[str, Any]] = defaultdict(dict)
        table = _whole_batches(path)
        if table is not None:
            _take(table, _num_equal(json.loads(table.schema.metadata[_CHAIN]), chain), pipeline, outcomes)
        yield LeftJournal(path, outcomes)
    for lock in folder.glob(f"*{_LOCK_SUFFIX}"):
        if not _lives(lock):
            lock.unlink(missing_ok=True)


def _lives(lock: Path) -> bool:
    """Whether the run that holds this lock is still there."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


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
