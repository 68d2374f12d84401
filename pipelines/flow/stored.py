"""Records in a Parquet file, read a stretch at a time: a sequence that may be larger than memory."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Generic, TypeVar, overload

import pyarrow.parquet as pq

from levo.song.files import write_atomically
from levo.song.schema import records_of, schema_of, table_of

Record = TypeVar("Record")


class StoredRecords(Sequence[Record], Generic[Record]):
    """The records of a file that `write_records` wrote; whole stretches are read fastest."""

    def __init__(self, file: Path, record_type: type[Record]) -> None:
        self._file, self._record_type = file, record_type
        groups = pq.read_metadata(file)
        sizes = (groups.row_group(group).num_rows for group in range(groups.num_row_groups))
        self._ends = [0, *accumulate(sizes)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[Record]:
        for group in range(len(self._ends) - 1):
            yield from self._read([group])

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, int):
            return self._stretch(range(len(self))[place], 1)[0]
        start, stop, step = place.indices(len(self))
        if step < 0:
            raise ValueError(f"a step of {step}; stored records are read forwards")
        return self._stretch(start, stop - start)[::step] if stop > start else []

    def _stretch(self, start: int, length: int) -> list[Record]:
        first, last = (bisect_right(self._ends, place) - 1 for place in (start, start + length - 1))
        skipped = start - self._ends[first]
        return self._read(list(range(first, last + 1)))[skipped : skipped + length]

    def _read(self, groups: list[int]) -> list[Record]:
        with pq.ParquetFile(self._file) as file:
            return records_of(file.read_row_groups(groups), self._record_type)


def write_records(file: Path, record_type: type[Record], batches: Iterable[Sequence[Record]]) -> StoredRecords[Record]:
    """Write records batch by batch, whole or not at all, in place of what the file held; an empty batch is nothing."""

    def write(path: Path) -> None:
        with pq.ParquetWriter(path, schema_of(record_type)) as writer:
            for batch in batches:
                if batch:
                    writer.write_table(table_of(batch, record_type))

    write_atomically(file, write)
    return StoredRecords(file, record_type)
