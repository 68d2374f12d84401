"""A flow's outcomes as one table: every item is a row with a status, and a refused one has its reason."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from levo.song.schema import Record, records_of, records_of_structs, schema_of, struct_array_of
from pipelines.flow.stage import Refusal

STATUS = "status"
REFUSAL = "refusal"
OK = "ok"
REFUSED = "refused"


def outcome_table(outcomes: Sequence[Record | Refusal], record_type: type[Record]) -> pa.Table:
    """One row an outcome, in order: `status`, `refusal` (null if ok), and the record's fields (null if refused)."""
    records = [None if isinstance(outcome, Refusal) else outcome for outcome in outcomes]
    refusals = [outcome if isinstance(outcome, Refusal) else None for outcome in outcomes]
    structs = struct_array_of(records, record_type)
    columns = {
        STATUS: pa.array([OK if refusal is None else REFUSED for refusal in refusals], type=pa.string()),
        REFUSAL: struct_array_of(refusals, Refusal),
    }
    columns |= {field.name: pc.struct_field(structs, field.name) for field in schema_of(record_type)}
    return pa.table(columns)


def is_usable(table: pa.Table) -> list[bool]:
    """For each row, whether it is a usable item's."""
    usable: list[bool] = pc.equal(table.column(STATUS), pa.scalar(OK)).to_pylist()  # type: ignore[assignment]
    return usable


def outcomes_of(table: pa.Table, record_type: type[Record]) -> list[Record | Refusal]:
    """What `outcome_table` was made of, in order."""
    records = iter(records_of_outcomes(table, record_type))
    refusals = records_of_structs(table.column(REFUSAL), Refusal)
    return [next(records) if refusal is None else refusal for refusal in refusals]


def records_of_outcomes(table: pa.Table, record_type: type[Record]) -> list[Record]:
    """The usable items' records, in order."""
    return records_of(table.filter(pc.equal(table.column(STATUS), pa.scalar(OK))), record_type)


def refusals_of_outcomes(table: pa.Table) -> list[Refusal]:
    """The refused items, in order."""
    refusals = records_of_structs(table.column(REFUSAL), Refusal)
    return [refusal for refusal in refusals if refusal is not None]
