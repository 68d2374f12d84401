"""Files with a JSON object a line, checked whole before any work begins: every problem has its line and column."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from levo.model.sampling.noise import MAX_SEED
from levo.model.tokenizer import DESCRIPTION_TAGS
from levo.song.lyrics import LyricsError, parse_lyrics

_LONGEST_ID = 120
_MOST_PROBLEMS = 10
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
_BRACKETED = re.compile(r"\[[^\]]*\]")
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"\s*")
Record = TypeVar("Record")


class LineError(ValueError):
    """Lines that cannot be taken: each problem with its file, line and column."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A field's value and where it begins in its line, counted from 0."""

    value: Any
    start: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line's fields, read by name; what is wrong with any of them is noted, and read as if it were not there."""

    text: str
    fields: Mapping[str, _Value]
    problems: list[tuple[int, str]] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """All fields as they stand."""
        return {name: one.value for name, one in self.fields.items()}

    def note(self, name: str, problem: str) -> None:
        """Note what is wrong with a field, where it stands."""
        self.problems.append((self.fields[name].start if name in self.fields else 0, problem))

    def text_of(self, name: str, *, required: bool = False) -> str | None:
        """A field of text; without it None, and a problem where it is required."""
        if name not in self.fields or (self.fields[name].value is None and not required):
            if required:
                self.note(name, f"{name} is missing")
            return None
        value = self.fields[name].value
        if not isinstance(value, str) or (required and not value.strip()):
            self.note(name, f"{name} is {value!r}; expected text")
            return None
        return value

    def file_name(self, name: str) -> str | None:
        """A field that names a file: no folders, nothing hidden."""
        value = self.text_of(name, required=True)
        if value is not None and not _is_file_name(value):
            self.note(name, f"{name} is {value!r}; expected a file name without folders")
        return value

    def lyrics(self, name: str) -> str | None:
        """A field of lyrics in the released format."""
        value = self.text_of(name, required=True)
        if value is not None:
            try:
                parse_lyrics(value)
            except LyricsError as error:
                before = value.splitlines(keepends=True)[: error.line - 1]
                offset = sum(len(one) for one in before) + error.column - 1
                place = _raw_place(self.text, self.fields[name].start, offset)
                self.problems.append((place, f"{name}: {error.problem}"))
        return value

    def description(self, name: str) -> str | None:
        """A field of a description, whose tags in brackets must be known ones."""
        value = self.text_of(name)
        for tag in _BRACKETED.findall(value or ""):
            if tag not in DESCRIPTION_TAGS:
                self.note(name, f"{name}: unknown tag {tag!r}; expected one of {', '.join(DESCRIPTION_TAGS)}")
        return value

    def one_of(self, names: tuple[str, ...]) -> dict[str, str | None]:
        """Fields of text of which at most one may be given."""
        found = {name: self.text_of(name) for name in names}
        given = [name for name, value in found.items() if value is not None]
        if len(given) > 1:
            self.note(given[1], f"both {given[0]} and {given[1]} are given; expected one prompt")
        return found

    def seed(self, name: str) -> int | None:
        """A field of a seed."""
        value = self.fields[name].value if name in self.fields else None
        if value is not None and (type(value) is not int or not 0 <= value <= MAX_SEED):
            self.note(name, f"{name} is {value!r}; expected a whole number from 0 to {MAX_SEED}")
            return None
        return value


def read_lines(path: Path, record_of: Callable[[Line], Record | None], what: str) -> list[Record]:
    """A record a line, in the file's order; `idx` names each, and no two may be alike.

    Raises `LineError` with every problem found, or the first ten of them; `what` says what the file should hold.
    """
    problems: list[str] = []
    records: list[Record] = []
    numbers: dict[str, int] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        line = _line(text)
        record = None if line.problems else record_of(line)
        idx = line.values.get("idx")
        if isinstance(idx, str) and idx in numbers and not line.problems:
            line.problems.append((0, f"idx {idx!r} is line {numbers[idx]}'s already"))
        elif isinstance(idx, str):
            numbers.setdefault(idx, number)
        if record is not None and not line.problems:
            records.append(record)
        problems += [f"{path}:{number}:{column + 1}: {problem}" for column, problem in line.problems]
    if problems:
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise LineError("; ".join(problems[:_MOST_PROBLEMS]) + more)
    if not records:
        raise LineError(f"{path}: no {what}; expected a JSON object a line")
    return records


def _line(text: str) -> Line:
    """A line's fields; none, and why, where it is no object."""
    try:
        fields = _fields(text)
    except json.JSONDecodeError as error:
        return Line(text, {}, [(error.pos, f"no JSON object: {error.msg}")])
    return Line(text, fields)


def _fields(line: str) -> dict[str, _Value]:
    """A line's fields with their places; raises `json.JSONDecodeError` where it is no object."""
    place = _skip(line, 0, "{")
    fields: dict[str, _Value] = {}
    if line[_after_space(line, place) :].startswith("}"):
        place = _after_space(line, place)
    while not line.startswith("}", place):
        start = _after_space(line, place)
        name, place = _DECODER.raw_decode(line, start)
        if not isinstance(name, str):
            raise json.JSONDecodeError("expected a name in quotes", line, start)
        start = _after_space(line, _skip(line, place, ":"))
        value, place = _DECODER.raw_decode(line, start)
        if name in fields:
            raise json.JSONDecodeError(f"{name} is given twice", line, start)
        fields[name] = _Value(value, start)
        place = _after_space(line, place)
        if not line.startswith("}", place):
            place = _skip(line, place, ",")
    rest = _after_space(line, place + 1)
    if rest < len(line):
        raise json.JSONDecodeError("something follows the object", line, rest)
    return fields


def _skip(line: str, place: int, sign: str) -> int:
    place = _after_space(line, place)
    if not line.startswith(sign, place):
        raise json.JSONDecodeError(f"expected {sign!r}", line, place)
    return place + 1


def _after_space(line: str, place: int) -> int:
    found = _SPACE.match(line, place)
    return found.end() if found else place


def _is_file_name(idx: str) -> bool:
    return idx.isprintable() and len(idx) <= _LONGEST_ID and not idx.startswith(".") and not set(idx) & _NOT_IN_NAMES


def _raw_place(line: str, start: int, offset: int) -> int:
    """Where character `offset` of the JSON string that begins at `start` stands in the line."""
    place = start + 1
    for _ in range(offset):
        if line[place] != "\\":
            place += 1
        elif line[place + 1] != "u":
            place += 2
        else:
            is_pair = 0xD800 <= int(line[place + 2 : place + 6], 16) < 0xDC00
            place += 12 if is_pair else 6
    return place
