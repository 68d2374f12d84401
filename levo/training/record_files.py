"""Records in an Arrow file that is mapped into memory, not read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from levo.song.files import write_atomically
from levo.song.schema import schema_of, table_of

Record = TypeVar("Record")


def write_records(path: Path, records: Sequence[Record], record_type: type[Record]) -> None:
    """Write records to a new file, whole or not at all."""

    def write(place: Path) -> None:
        with pa.OSFile(str(place), "wb") as sink, pa.ipc.new_file(sink, schema_of(record_type)) as writer:
            writer.write_table(table_of(records, record_type))

    write_atomically(path, write, flush=False)


def mapped_table(path: Path) -> pa.Table:
    """The file's table; its columns stay on disk until they are looked at."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
