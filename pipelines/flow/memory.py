"""What earlier runs made, by input and identity: so that a rerun does only what is new, and remembers refusals too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from levo.song.digest import digest_json
from levo.song.files import write_atomically
from levo.song.schema import records_of_structs, struct_array_of
from pipelines.flow.identity import chain_identities
from pipelines.flow.journal import Journal, left_journals
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal, Stage

_SHARDS = "*.parquet"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of one input: the stages that it has passed, and its record or refusal after them."""

    num_stages: int
    outcome: Any


@dataclass(frozen=True, slots=True)
class Memory:
    """A folder of Parquet shards, one sub-folder for each stage with all that came before it."""

    folder: Path

    def recall(self, pipeline: Pipeline[Any, Any], inputs: Sequence[str]) -> dict[str, Remembered]:
        """The furthest known outcome of each input digest that is known at all."""
        known: dict[str, Remembered] = {}
        wanted = set(inputs)
        chain = list(zip(pipeline.stages, chain_identities(pipeline.stages), strict=True))
        for place in reversed(range(len(chain))):
            if wanted:
                for digest, outcome in self._read(*chain[place], wanted).items():
                    known[digest] = Remembered(place + 1, outcome)
                wanted -= known.keys()
        return known

    def journal(self, pipeline: Pipeline[Any, Any], chain: Sequence[str]) -> Journal:
        """A new journal of a run's outcomes until they are remembered."""
        return Journal(self.folder, pipeline, chain)

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
            if of_stage:
                self._write(pipeline.stages[place], chain[place], of_stage)

    def forget(self, is_forgotten: Callable[[Refusal], bool]) -> int:
        """Forget the refusals that are chosen, so that their items are tried again; how many outcomes that were.

        Shards are rewritten whole or removed, one after the other: interrupted, the rest is still remembered.
        """
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

    def _read(self, stage: Stage[Any, Any], identity: str, wanted: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for shard in sorted(self._stage_folder(stage, identity).glob(_SHARDS)):
            table = pq.read_table(shard)
            table = table.filter(pc.is_in(table.column("input"), pa.array(sorted(wanted), pa.string())))
            records = records_of_structs(table.column("record"), stage.output_type)
            refusals = records_of_structs(table.column("refusal"), Refusal)
            for digest, record, refusal in zip(table.column("input").to_pylist(), records, refusals, strict=True):
                found[str(digest)] = record if refusal is None else refusal
        return found

    def _write(self, stage: Stage[Any, Any], identity: str, outcomes: Mapping[str, Any]) -> None:
        values = list(outcomes.values())
        records = [None if isinstance(value, Refusal) else value for value in values]
        refusals = [value if isinstance(value, Refusal) else None for value in values]
        table = pa.table(
            {
                "input": pa.array(list(outcomes), type=pa.string()),
                "record": struct_array_of(records, stage.output_type),
                "refusal": struct_array_of(refusals, Refusal),
            }
        )
        shard = self._stage_folder(stage, identity) / f"{digest_json(sorted(outcomes))[:32]}.parquet"
        write_atomically(shard, lambda path: pq.write_table(table, path))
