"""A file of orders, a JSON object a line in the release's fields, checked whole before any work begins."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levo.model.sampling.noise import MAX_SEED
from levo.model.tokenizer import DESCRIPTION_TAGS
from levo.song.lyrics import LyricsError, parse_lyrics

_LONGEST_ID = 120
_MOST_PROBLEMS = 10
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
_PROMPT_FIELDS = ("prompt_audio_path", "auto_prompt_audio_type", "prompt_codes_path")
_BRACKETED = re.compile(r"\[[^\]]*\]")
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"\s*")


class OrderFileError(ValueError):
    """Orders that cannot be taken: each problem with its file, line and column."""


@dataclass(frozen=True, slots=True)
class SongOrder:
    """One song that is asked for, and the whole line that it came in; at most one of the prompts is given."""

    idx: str
    lyrics: str
    description: str | None
    prompt_audio_path: str | None
    auto_prompt_audio_type: str | None
    prompt_codes_path: str | None
    seed: int | None
    line: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Value:
    """A field's value and where it begins in its line, counted from 0."""

    value: Any
    start: int


def read_orders(path: Path) -> list[SongOrder]:
    """All orders of a file, in its order. Raises `OrderFileError` with every problem found, or the first ten of them.

    Fields: `idx` (a file name), `gt_lyric`, and if given `descriptions`, `seed`, and one of `prompt_audio_path`,
    `auto_prompt_audio_type` and `prompt_codes_path`. Other fields are kept.
    """
    problems: list[str] = []
    orders: list[SongOrder] = []
    lines: dict[str, int] = {}
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found: list[tuple[int, str]] = []
        order = _order(line, found)
        if order is not None and order.idx in lines:
            found.append((0, f"idx {order.idx!r} is line {lines[order.idx]}'s already"))
        elif order is not None:
            lines[order.idx] = number
            orders.append(order)
        problems += [f"{path}:{number}:{column + 1}: {problem}" for column, problem in found]
    if problems:
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise OrderFileError("; ".join(problems[:_MOST_PROBLEMS]) + more)
    if not orders:
        raise OrderFileError(f"{path}: no orders; expected a JSON object a line")
    return orders


def _order(line: str, problems: list[tuple[int, str]]) -> SongOrder | None:
    """The order of a line; None, and why, where there is none."""
    try:
        fields = _fields(line)
    except json.JSONDecodeError as error:
        problems.append((error.pos, f"no JSON object: {error.msg}"))
        return None
    idx, lyrics = _text(fields, "idx", problems, required=True), _text(fields, "gt_lyric", problems, required=True)
    description = _text(fields, "descriptions", problems)
    prompts = {name: _text(fields, name, problems) for name in _PROMPT_FIELDS}
    given = [name for name, value in prompts.items() if value is not None]
    if len(given) > 1:
        problems.append((fields[given[1]].start, f"both {given[0]} and {given[1]} are given; expected one prompt"))
    if idx is not None and not _is_file_name(idx):
        problems.append((fields["idx"].start, f"idx is {idx!r}; expected a file name without folders"))
    if lyrics is not None:
        _check_lyrics(line, fields["gt_lyric"], problems)
    for tag in _BRACKETED.findall(description or ""):
        if tag not in DESCRIPTION_TAGS:
            known = ", ".join(DESCRIPTION_TAGS)
            problems.append(
                (fields["descriptions"].start, f"descriptions: unknown tag {tag!r}; expected one of {known}")
            )
    seed = fields["seed"].value if "seed" in fields else None
    if seed is not None and (type(seed) is not int or not 0 <= seed <= MAX_SEED):
        problems.append((fields["seed"].start, f"seed is {seed!r}; expected a whole number from 0 to {MAX_SEED}"))
    if problems or idx is None or lyrics is None:
        return None
    whole = {name: one.value for name, one in fields.items()}
    return SongOrder(idx, lyrics, description, **prompts, seed=seed, line=whole)


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


def _text(
    fields: Mapping[str, _Value], name: str, problems: list[tuple[int, str]], *, required: bool = False
) -> str | None:
    if name not in fields or (fields[name].value is None and not required):
        if required:
            problems.append((0, f"{name} is missing"))
        return None
    value = fields[name].value
    if not isinstance(value, str) or (required and not value.strip()):
        problems.append((fields[name].start, f"{name} is {value!r}; expected text"))
        return None
    return value


def _is_file_name(idx: str) -> bool:
    return idx.isprintable() and len(idx) <= _LONGEST_ID and not idx.startswith(".") and not set(idx) & _NOT_IN_NAMES


def _check_lyrics(line: str, field: _Value, problems: list[tuple[int, str]]) -> None:
    try:
        parse_lyrics(field.value)
    except LyricsError as error:
        before = field.value.splitlines(keepends=True)[: error.line - 1]
        offset = sum(len(one) for one in before) + error.column - 1
        problems.append((_raw_place(line, field.start, offset), f"gt_lyric: {error.problem}"))


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
