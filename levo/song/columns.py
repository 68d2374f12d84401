"""How an annotation becomes an Arrow column and back: scalars, enums, arrays, lists, maps and nested records."""

import types
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa

_SCALARS: dict[type, Any] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


class Column(ABC):
    """A field's Arrow type, with the way from Python values to it and back."""

    arrow_type: Any
    nullable: bool = False

    @abstractmethod
    def plain(self, value: Any) -> Any:
        """The value as `pyarrow.array` takes it; raises TypeError for a value that the annotation does not allow."""

    @abstractmethod
    def restore(self, array: Any) -> list[Any]:
        """The values of an Arrow array without nulls."""


class _Scalar(Column):
    """A string, number, flag or bytes."""

    def __init__(self, python_type: type) -> None:
        self.python_type = python_type
        self.arrow_type = _SCALARS[python_type]

    def plain(self, value: Any) -> Any:
        if type(value) is self.python_type:
            return value
        if self.python_type is float and isinstance(value, Real):
            return float(value)
        if self.python_type is int and isinstance(value, Integral):
            return int(value)
        raise TypeError(f"{value!r} is {type(value).__name__}; expected {self.python_type.__name__}")

    def restore(self, array: Any) -> list[Any]:
        values: list[Any] = array.to_pylist()
        return values


class _EnumName(Column):
    """A string enum by its value, any other enum by its name."""

    arrow_type = pa.string()

    def __init__(self, enum_type: type[Enum]) -> None:
        self.enum_type = enum_type
        by_value = issubclass(enum_type, StrEnum)
        self.members = {str(member.value) if by_value else member.name: member for member in enum_type}
        self.names = {member: name for name, member in self.members.items()}

    def plain(self, value: Any) -> Any:
        if value not in self.names:
            raise TypeError(f"{value!r} is no {self.enum_type.__name__}")
        return self.names[value]

    def restore(self, array: Any) -> list[Any]:
        return [self.members[name] for name in array.to_pylist()]


class _Maybe(Column):
    """A value or null."""

    nullable = True

    def __init__(self, inner: Column) -> None:
        self.inner = inner
        self.arrow_type = inner.arrow_type

    def plain(self, value: Any) -> Any:
        return None if value is None else self.inner.plain(value)

    def restore(self, array: Any) -> list[Any]:
        present = iter(self.inner.restore(array.drop_null() if array.null_count else array))
        return [next(present) if valid else None for valid in array.is_valid().to_pylist()]


class _ListOf(Column):
    """A tuple of any length, of one kind of value."""

    def __init__(self, inner: Column) -> None:
        self.inner = inner
        self.arrow_type = pa.list_(pa.field("item", inner.arrow_type, nullable=inner.nullable))

    def plain(self, value: Any) -> Any:
        return [self.inner.plain(item) for item in value]

    def restore(self, array: Any) -> list[Any]:
        offsets = array.offsets.to_numpy()
        items = self.inner.restore(array.values.slice(offsets[0], offsets[-1] - offsets[0]))
        return [tuple(items[start:end]) for start, end in pairwise(offsets - offsets[0])]


class _MapOf(Column):
    """A dictionary keyed by strings."""

    def __init__(self, inner: Column) -> None:
        self.inner = inner
        self.arrow_type = pa.map_(pa.string(), pa.field("value", inner.arrow_type, nullable=inner.nullable))

    def plain(self, value: Any) -> Any:
        return [(key, self.inner.plain(item)) for key, item in value.items()]

    def restore(self, array: Any) -> list[Any]:
        offsets = array.offsets.to_numpy()
        first, count = offsets[0], offsets[-1] - offsets[0]
        items = list(
            zip(
                array.keys.slice(first, count).to_pylist(),
                self.inner.restore(array.items.slice(first, count)),
                strict=True,
            )
        )
        return [dict(items[start:end]) for start, end in pairwise(offsets - first)]


class _NumpyArray(Column):
    """An array of one dtype, as its shape and its values in row-major order."""

    def __init__(self, dtype: np.dtype[Any], num_dimensions: int) -> None:
        self.dtype = dtype
        self.num_dimensions = num_dimensions
        values = pa.list_(pa.field("item", pa.from_numpy_dtype(dtype), nullable=False))
        shape = pa.list_(pa.field("item", pa.int32(), nullable=False))
        self.arrow_type = pa.struct([pa.field("shape", shape, False), pa.field("values", values, False)])

    def plain(self, value: Any) -> Any:
        if value.dtype != self.dtype or value.ndim != self.num_dimensions:
            raise TypeError(
                f"array is {value.dtype}{list(value.shape)}; expected {self.dtype}, {self.num_dimensions} axes"
            )
        return {"shape": list(value.shape), "values": value.ravel()}

    def restore(self, array: Any) -> list[Any]:
        shapes = array.field("shape").to_pylist()
        values = array.field("values")
        offsets = values.offsets.to_numpy()
        flat = values.values.to_numpy(zero_copy_only=False)
        return [
            flat[start:end].reshape(shape).copy() for shape, (start, end) in zip(shapes, pairwise(offsets), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _NamedColumn:
    """A record's field and its column."""

    name: str
    column: Column


class RecordOf(Column):
    """A dataclass, as a struct of its fields."""

    def __init__(self, record_type: type) -> None:
        self.record_type = record_type
        hints = get_type_hints(record_type)
        self.columns = tuple(
            _NamedColumn(field.name, _named_column(record_type, field.name, hints[field.name]))
            for field in fields(record_type)
        )
        self.arrow_fields = [pa.field(name.name, name.column.arrow_type, name.column.nullable) for name in self.columns]
        self.arrow_type = pa.struct(self.arrow_fields)

    def plain(self, value: Any) -> Any:
        """A dictionary by field; the error names the field."""
        if not isinstance(value, self.record_type):
            raise TypeError(f"{type(value).__name__} is no {self.record_type.__name__}")
        try:
            return {named.name: named.column.plain(getattr(value, named.name)) for named in self.columns}
        except TypeError as error:
            raise TypeError(f"{self.record_type.__name__}, {self._offender(value)}: {error}") from None

    def restore(self, array: Any) -> list[Any]:
        """The records of a struct array without nulls."""
        columns = {named.name: named.column.restore(array.field(named.name)) for named in self.columns}
        return self.records(columns, len(array))

    def records(self, columns: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
        """Records from one sequence of values a field."""
        if not columns:
            return [self.record_type() for _ in range(count)]
        names = list(columns)
        return [self.record_type(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def _offender(self, value: Any) -> str:
        for named in self.columns:
            try:
                named.column.plain(getattr(value, named.name))
            except TypeError:
                return f"field {named.name}"
        return "no single field"


def record_column(record_type: type) -> RecordOf:
    """The column of a dataclass; raises TypeError for anything else."""
    if not is_dataclass(record_type):
        raise TypeError(f"{record_type!r} is no record; expected a frozen dataclass")
    return _cached_record(record_type)


def optional(column: Column) -> Column:
    """A column of values or nulls."""
    return _Maybe(column)


@cache
def _cached_record(record_type: Any) -> RecordOf:
    return RecordOf(record_type)


def _named_column(record_type: type, name: str, annotation: Any) -> Column:
    try:
        return column_of(annotation)
    except TypeError as error:
        raise TypeError(f"{record_type.__name__}.{name}: {error}") from None


def column_of(annotation: Any) -> Column:
    """The column of an annotation; raises TypeError where there is none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS:
        return _Scalar(annotation)
    if origin in (Union, types.UnionType) and type(None) in arguments and len(arguments) == 2:
        return _Maybe(column_of(next(argument for argument in arguments if argument is not type(None))))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _ListOf(column_of(arguments[0]))
    if origin in (dict, Mapping) and arguments[0] is str:
        return _MapOf(column_of(arguments[1]))
    if origin is Literal and all(isinstance(argument, str) for argument in arguments):
        return _Scalar(str)
    if getattr(annotation, "array_type", None) is np.ndarray and len(annotation.dtypes) == 1:
        return _NumpyArray(np.dtype(annotation.dtypes[0]), len(annotation.dims))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _EnumName(annotation)
    if is_dataclass(annotation) and isinstance(annotation, type):
        return record_column(annotation)
    raise TypeError(f"no Arrow column for {annotation!r}")
