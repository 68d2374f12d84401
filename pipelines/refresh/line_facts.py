"""What a line of champions says of itself in its own folder, so that every command that is given the folder knows it.

The file is written before the line's first commit and not changed afterwards.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from levo.song.files import write_json
from pipelines.flow.typed_json import read_record
from pipelines.refresh.store import RefreshStore

LINE_FILE = "line.json"


class ForeignLineError(ValueError):
    """A store that holds another line of champions."""


@dataclass(frozen=True, slots=True)
class LineFacts:
    """The recipe and seed that a line was begun with, where its head and lease lie, and what else it is made of."""

    name: str
    """The line's own, drawn when it is begun: what is begun anew, or beside it, of equal make, is another."""
    recipe: str
    seed: int
    pointers: str | None
    made_of: str
    """Canonical JSON of all that makes the line this one (`NightSetting.made_of`)."""

    def differences(self, made_of: str) -> list[str]:
        """Each field in which another configuration differs, with both values.

        Fields of records that only one of the two has are none: a later version's own defaults leave nights as they
        were.
        """
        return list(_differences(json.loads(self.made_of), json.loads(made_of), ""))


def read_facts(folder: Path) -> LineFacts | None:
    """What the line in a folder says; None where none was begun."""
    file = folder / LINE_FILE
    return read_record(LineFacts, json.loads(file.read_text())) if file.is_file() else None


def new_name(recipe: str) -> str:
    """A name that no other line has: that of its registered model."""
    return f"levo-{recipe}-line-{uuid.uuid4().hex[:8]}"


def write_facts(folder: Path, facts: LineFacts) -> None:
    """Say it, whole or not at all."""
    write_json(folder / LINE_FILE, asdict(facts))


def open_store(folder: Path, pointers: str | None = None) -> RefreshStore:
    """A line's store, with head and lease where the line says that they lie: `pointers` is for new lines.

    Raises ForeignLineError where the line keeps them elsewhere than it is told.
    """
    facts = read_facts(folder)
    if facts is None or pointers in (None, facts.pointers):
        return RefreshStore(folder, pointers if facts is None else facts.pointers)
    raise ForeignLineError(
        f"--pointers is {pointers}; the line in {folder} keeps its head and lease "
        f"{'in the folder itself' if facts.pointers is None else f'at {facts.pointers}'}"
    )


def _differences(ours: Any, other: Any, place: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(other, dict):
        for name in ours:
            if name in other:
                yield from _differences(ours[name], other[name], f"{place}.{name}" if place else name)
    elif isinstance(ours, list) and isinstance(other, list) and len(ours) == len(other):
        for number, (one, another) in enumerate(zip(ours, other, strict=True)):
            yield from _differences(one, another, f"{place}[{number}]")
    elif ours != other:
        yield f"{place} is {other!r}, the line's {ours!r}"
