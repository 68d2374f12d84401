"""Arrow schemas derived from the records, and tables to and from them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import pyarrow as pa

from levo.song.columns import optional, record_column
from levo.song.digest import digest_bytes

Record = TypeVar("Record")


def schema_of(record_type: type) -> pa.Schema:
    """One column a field: nested records are structs, tuples are lists, enums are strings, `None` is null."""
    return pa.schema(record_column(record_type).arrow_fields)


def schema_digest(schema: pa.Schema) -> str:
    """SHA-256 (hex) of a schema's names, types and nullability."""
    return digest_bytes(schema.remove_metadata().to_string().encode())


def table_of(records: Sequence[Record], record_type: type[Record]) -> pa.Table:
    """Records as a table; raises TypeError naming the field whose value its annotation does not allow."""
    return pa.Table.from_struct_array(struct_array_of(records, record_type)).cast(schema_of(record_type))


def struct_array_of(records: Sequence[Record | None], record_type: type[Record]) -> pa.StructArray:
    """Records, or nulls, as one struct array: a column of a wider table."""
    column = record_column(record_type)
    plain = [None if record is None else column.plain(record) for record in records]
    array: pa.StructArray = pa.array(plain, type=column.arrow_type)
    return array


def records_of(table: pa.Table, record_type: type[Record]) -> list[Record]:
    """A table's rows as records; columns that the record lacks are left out, one that it needs raises KeyError.

    A field that is None unless given may be absent: tables written before it was thought of are read.
    """
    column = record_column(record_type)
    defaults = {field.name: field.default for field in fields(record_type)}  # type: ignore[arg-type]
    missing = [named.name for named in column.columns if named.name not in table.column_names]
    absent = [name for name in missing if defaults[name] is not None]
    if absent:
        raise KeyError(f"table with columns {table.column_names} lacks {absent}, needed by {record_type.__name__}")
    values = {
        named.name: named.column.restore(_one_array(table.column(named.name), named.column.arrow_type))
        for named in column.columns
        if named.name not in missing
    }
    return column.records(values | {name: [None] * table.num_rows for name in missing}, table.num_rows)


def records_of_structs(array: Any, record_type: type[Record]) -> list[Record | None]:
    """The records of a struct column, `None` where it is null."""
    column = optional(record_column(record_type))
    return column.restore(_one_array(array, column.arrow_type))


def _one_array(column: Any, arrow_type: pa.DataType) -> Any:
    return (column if column.type == arrow_type else column.cast(arrow_type)).combine_chunks()
