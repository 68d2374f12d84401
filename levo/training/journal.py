"""A phase's learning curve on disk: one line of JSON a logging interval, cut back to the checkpoint on resume."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from levo.song.files import write_bytes_atomically, writing
from levo.training.loop import LoggedStep

JOURNAL_FILE = "metrics.jsonl"


def read_journal(path: Path) -> list[LoggedStep]:
    """All whole lines, in order; none where there is no file."""
    return list(_lines(path))


def cut_journal(path: Path, step: int) -> None:
    """Drop what a crashed run wrote after the step that training resumes from."""
    kept = [logged for logged in _lines(path) if logged.step <= step]
    write_bytes_atomically(path, "".join(_line(logged) for logged in kept).encode(), flush=False)


def append_journal(path: Path, logged: LoggedStep) -> None:
    """Add one interval."""
    with writing(path), path.open("a") as file:
        file.write(_line(logged))


def logged_step(line: str) -> LoggedStep:
    """The interval that a line holds."""
    return LoggedStep(**json.loads(line))


def _line(logged: LoggedStep) -> str:
    return json.dumps(asdict(logged)) + "\n"


def _lines(path: Path) -> Iterator[LoggedStep]:
    if not path.is_file():
        return
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield logged_step(line)
