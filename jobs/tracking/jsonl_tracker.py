"""The tracker that needs no server: every event that says something new is a line of a file, in order."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from jobs.tracking.events import EventRun, TrackingEvent, event_from_line
from jobs.tracking.novelty import Novelty
from jobs.tracking.protocol import TrackedRun

_LOGGER = logging.getLogger(__name__)


class JsonLinesTracker:
    """Appends to `file`; safe for the threads of one process. A line cut off by a crash is ignored when read."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._lock = threading.Lock()
        self._end_last_line()
        self._novelty = Novelty()
        for event, _ in read_events(file):
            if event is not None:
                self._novelty.take(event)

    def run(self, run_key: str, name: str) -> TrackedRun:
        """The parent run of a key."""
        return EventRun(run_key, "", name, self.append)

    def step(self, run_key: str, step: str) -> TrackedRun:
        """The child run of a step."""
        return EventRun(run_key, step, step, self.append)

    def append(self, event: TrackingEvent) -> None:
        """Write one event if it is new; it is in the operating system's hands when this returns.

        A file that cannot be written costs the event and a warning, never the run.
        """
        with self._lock:
            if not self._novelty.take(event):
                return
            try:
                with self.file.open("a") as stream:
                    stream.write(event.as_line())
            except OSError as error:
                _LOGGER.warning("a tracking event is lost, %s cannot be written: %s", self.file, error)

    def close(self) -> int:
        """Nothing waits for anybody."""
        return 0

    def _end_last_line(self) -> None:
        """A crash may have left half a line: end it, so that the next event starts its own."""
        if self.file.exists() and self.file.stat().st_size and not self.file.read_bytes().endswith(b"\n"):
            with self.file.open("a") as stream:
                stream.write("\n")


def read_events(file: Path, start_byte: int = 0) -> Iterator[tuple[TrackingEvent | None, int]]:
    """Whole lines from a byte on, each with the byte after it; None stands for a line that a crash cut off."""
    if not file.exists():
        return
    with file.open("rb") as stream:
        stream.seek(start_byte)
        while (line := stream.readline()).endswith(b"\n"):
            try:
                event = event_from_line(line.decode())
            except ValueError:
                event = None
            yield event, stream.tell()
