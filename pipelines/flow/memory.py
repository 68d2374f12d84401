"""What earlier runs made, by input and identity: so that a rerun does only what is new, and remembers refusals too."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from levo.song.digest import digest_json
from levo.song.files import write_atomically, write_json
from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.journal import RunJournals, left_journals
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal, Stage

_SHARDS = "*.parquet"
_FINISHED = "finished.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of one input: the stages that it has passed, and its record or refusal after them."""

    num_stages: int
    outcome: Any


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a stage made of inputs: a record each, or null and the refusal."""

    digests: tuple[str, ...]
    records: pa.StructArray
    refusals: pa.StructArray


@dataclass(frozen=True, slots=True)
class Memory:
    """A folder of Parquet shards, one sub-folder for each stage with all that came before it."""

    folder: Path

    def recall(self, pipeline: Pipeline[Any, Any], inputs: Sequence[str]) -> dict[str, Remembered]:
        """The furthest known outcome of each input digest that is known at all."""
        return self.index(pipeline).recall(inputs)

    def index(self, pipeline: Pipeline[Any, Any]) -> "MemoryIndex":
        """What is known now of a pipeline's inputs, to be recalled a part at a time."""
        chain = zip(pipeline.stages, pipeline.chain, strict=True)
        return MemoryIndex([_StageIndex(self._stage_folder(*link), link[0].output_type) for link in chain])

    def journals(self) -> RunJournals:
        """The journals of a new run, which hold its outcomes until they are remembered."""
        return RunJournals(self.folder)

    def recover(self, pipeline: Pipeline[Any, Any], chain: Sequence[str]) -> None:
        """Remember what killed runs left in their journals; those of runs that live are left alone."""
        for left in left_journals(self.folder, pipeline, chain):
            self.remember(pipeline, left.outcomes, chain)
            left.path.unlink()

    def remember(
        self, pipeline: Pipeline[Any, Any], outcomes: Mapping[int, Mapping[str, Any]], chain: Sequence[str]
    ) -> None:
        """Add a shard for each stage's outcomes, by the stage's place and the input's digest."""
        for place, of_stage in outcomes.items():
            stage, values = pipeline.stages[place], list(of_stage.values())
            records = [None if isinstance(value, Refusal) else value for value in values]
            refusals = [value if isinstance(value, Refusal) else None for value in values]
            columns = (struct_array_of(records, stage.output_type), struct_array_of(refusals, Refusal))
            self.add(stage, chain[place], Outcomes(tuple(of_stage), *columns))

    def add(self, stage: Stage[Any, Any], identity: str, outcomes: "Outcomes") -> None:
        """Add a shard of one stage's outcomes; of none there is none."""
        if not outcomes.digests:
            return
        columns = {"input": pa.array(outcomes.digests, pa.string()), "record": outcomes.records}
        table = pa.table(columns | {"refusal": outcomes.refusals})
        shard = self._stage_folder(stage, identity) / f"{digest_json(sorted(outcomes.digests))[:32]}.parquet"
        write_atomically(shard, lambda path: pq.write_table(table, path))

    def finished(self, key: str) -> Any | None:
        """What a run of this key told at its end, where it was the last to finish and nothing was forgotten since."""
        file = self.folder / _FINISHED
        if not file.is_file():
            return None
        told = json.loads(file.read_text())
        return told["result"] if told["key"] == key else None

    def finish(self, key: str, result: Any) -> None:
        """Keep what a run tells (as JSON) for the next one of its key, which then has nothing to do."""
        write_json(self.folder / _FINISHED, {"key": key, "result": result})

    def forget(self, is_forgotten: Callable[[Refusal], bool]) -> int:
        """Forget the refusals that are chosen, so that their items are tried again; how many outcomes that were.

        Shards are rewritten whole or removed, one after the other: interrupted, the rest is still remembered.
        """
        (self.folder / _FINISHED).unlink(missing_ok=True)
        num_forgotten = 0
        for shard in sorted(self.folder.glob(f"*/{_SHARDS}")):
            table = pq.read_table(shard)
            refusals = records_of_structs(table.column("refusal"), Refusal)
            stays = [refusal is None or not is_forgotten(refusal) for refusal in refusals]
            if all(stays):
                continue
            num_forgotten += stays.count(False)
            kept = table.filter(pa.array(stays))
            if kept.num_rows:
                write_atomically(shard, lambda path, kept=kept: pq.write_table(kept, path))  # type: ignore[misc]
            else:
                shard.unlink()
        return num_forgotten

    def _stage_folder(self, stage: Stage[Any, Any], identity: str) -> Path:
        return self.folder / f"{stage.name}-{identity[:16]}"


class MemoryIndex:
    """Which inputs are known after which stage, and in which shard: twelve bytes an input and stage in memory."""

    def __init__(self, stages: Sequence["_StageIndex"]) -> None:
        self._stages = stages

    def recall(self, inputs: Iterable[str]) -> dict[str, Remembered]:
        """The furthest known outcome of each input digest that is known at all."""
        known: dict[str, Remembered] = {}
        wanted = set(inputs)
        for place in reversed(range(len(self._stages))):
            if wanted:
                for digest, outcome in self._stages[place].read(wanted).items():
                    known[digest] = Remembered(place + 1, outcome)
                wanted -= known.keys()
        return known

    def num_stages(self, digest: str) -> int:
        """How many stages an input has passed; one that was refused has no more to pass."""
        key = _keys([digest])[0]
        for place in reversed(range(len(self._stages))):
            if self._stages[place].holds(key):
                return len(self._stages) if self._stages[place].was_refused(key) else place + 1
        return 0


class _StageIndex:
    """The shards of one stage, and for each input (by the first 64 bits of its digest) the shard that holds it."""

    def __init__(self, folder: Path, output_type: type) -> None:
        self._shards = sorted(folder.glob(_SHARDS))
        self._output_type = output_type
        keys, refused = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for shard in self._shards:
            table = pq.read_table(shard, columns=["input", "refusal"])
            keys.append(_keys(map(str, table.column("input").to_pylist())))
            refused.append(keys[-1][table.column("refusal").is_valid().to_numpy()])
        holders = np.repeat(np.arange(len(keys), dtype=np.int32), [len(part) for part in keys]) - 1
        order = np.argsort(np.concatenate(keys), kind="stable")
        self._keys, self._holders = np.concatenate(keys)[order], holders[order]
        self._refused = np.sort(np.concatenate(refused))

    def holds(self, key: np.uint64) -> bool:
        """Whether an input has an outcome here."""
        return _is_in(key, self._keys)

    def was_refused(self, key: np.uint64) -> bool:
        """Whether that outcome is a refusal."""
        return _is_in(key, self._refused)

    def read(self, wanted: set[str]) -> dict[str, Any]:
        """The outcomes of those inputs that are known here."""
        keys = _keys(wanted)
        starts, ends = (np.searchsorted(self._keys, keys, side) for side in ("left", "right"))
        places = {int(holder) for start, end in zip(starts, ends, strict=True) for holder in self._holders[start:end]}
        found: dict[str, Any] = {}
        for place in sorted(places):
            table = pq.read_table(self._shards[place])
            table = table.filter(pc.is_in(table.column("input"), pa.array(sorted(wanted), pa.string())))
            records = records_of_structs(table.column("record"), self._output_type)
            refusals = records_of_structs(table.column("refusal"), Refusal)
            for digest, record, refusal in zip(table.column("input").to_pylist(), records, refusals, strict=True):
                found[str(digest)] = record if refusal is None else refusal
        return found


def _is_in(key: np.uint64, ordered: np.ndarray) -> bool:
    place = int(np.searchsorted(ordered, key))
    return place < len(ordered) and bool(ordered[place] == key)


def _keys(digests: Iterable[str]) -> np.ndarray:
    return np.array([int(digest[:16], 16) for digest in digests], np.uint64)
