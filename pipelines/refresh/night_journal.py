"""The journal of a night: who began it, which steps are done and what they gave, a line each, only ever added to.

An attempt goes by its fencing token. Lines that an attempt adds after a later one has begun are a ghost's, and are not
read: the order of the lines decides, whatever the clocks say.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from levo.song.files import writing


class NightEvent(StrEnum):
    """What a line tells."""

    BEGAN = "began"
    DONE = "done"
    FAILED = "failed"
    COMMITTED = "committed"


@dataclass(frozen=True, slots=True)
class NightLine:
    """One line: the attempt's token, what happened, and of a step its identity, its result and what it took."""

    attempt: int
    event: NightEvent
    at: str
    step: str = ""
    identity: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0


class NightJournal:
    """The journal in a file; a line that a kill cut off is not read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(
        self,
        attempt: int,
        event: NightEvent,
        step: str = "",
        identity: str = "",
        result: dict[str, Any] | None = None,
        wall_s: float = 0.0,
    ) -> None:
        """Add a line; it is on the disk when this returns."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = NightLine(attempt, event, at, step, identity, result or {}, wall_s)
        # A newline before it ends what a kill may have left.
        content = f"\n{json.dumps(asdict(line), sort_keys=True)}\n".encode()
        with writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def lines(self) -> Iterator[NightLine]:
        """All lines that count, in order."""
        newest = 0
        for text in self._file.read_text().splitlines() if self._file.is_file() else ():
            line = _line(text)
            if line is None or line.attempt < newest:
                continue
            newest = line.attempt
            yield line

    def done(self, step: str, identity: str) -> NightLine | None:
        """The line of a step that was done with exactly these inputs, by this attempt or an earlier one."""
        found = [
            line
            for line in self.lines()
            if line.event is NightEvent.DONE and (line.step, line.identity) == (step, identity)
        ]
        return found[-1] if found else None


def _line(text: str) -> NightLine | None:
    try:
        fields = json.loads(text)
        return NightLine(**{**fields, "event": NightEvent(fields["event"])})
    except (ValueError, TypeError, KeyError):
        return None
