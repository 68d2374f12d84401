"""Reads typed records from JSON, exactly: errors name the place, what stands there and what was expected."""

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

Record = TypeVar("Record")


def read_record(kind: type[Record], value: Any) -> Record:
    """Build a dataclass from parsed JSON: every field present, none unknown, every type as annotated."""
    return typing.cast(Record, _read(kind, value, kind.__name__))


def _read(kind: Any, value: Any, place: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _read_optional(arguments, value, place)
    if origin is tuple:
        return _read_tuple(arguments, value, place)
    if origin is dict:
        _expect(isinstance(value, dict), place, value, "an object")
        return {key: _read(arguments[1], entry, f"{place}.{key}") for key, entry in value.items()}
    if origin is typing.Literal:
        _expect(value in arguments, place, value, f"one of {list(arguments)}")
        return value
    return _read_plain(kind, value, place)


def _read_dataclass(kind: type, value: Any, place: str) -> Any:
    _expect(isinstance(value, dict), place, value, "an object")
    names = [field.name for field in dataclasses.fields(kind)]
    _expect(sorted(value) == sorted(names), place, sorted(value), f"the fields {sorted(names)}")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _read(hints[name], value[name], f"{place}.{name}") for name in names})


def _read_optional(arguments: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and types.NoneType in arguments:
        return None
    (inner,) = (argument for argument in arguments if argument is not types.NoneType)
    return _read(inner, value, place)


def _read_tuple(arguments: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), place, value, "a list")
    kinds = arguments if arguments[-1] is not Ellipsis else arguments[:1] * len(value)
    _expect(len(value) == len(kinds), place, value, f"{len(kinds)} entries")
    return tuple(
        _read(kind, entry, f"{place}[{at}]") for at, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


def _read_plain(kind: type, value: Any, place: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    _expect(type(value) is kind, place, value, f"a {kind.__name__}")
    _expect(kind is not float or math.isfinite(value), place, value, "a finite number")
    return value


def _expect(holds: bool, place: str, value: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"{place} is {value!r}; expected {expected}")
