"""Delivers spooled events to a sink behind the run's back: a sink that is slow, away or broken never stops a run.

Events wait in the spool, in order, until the sink takes them; what is left when the run ends is delivered by the next
run over the same spool. An event that the sink refuses for good is set aside, so that it does not hold up the rest. A
sink that does not let us in is not asked again by this run: one clear error, and everything waits.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from jobs.tracking.events import TrackingEvent
from jobs.tracking.jsonl_tracker import read_events
from jobs.tracking.redaction import redacted
from pipelines.observability.metrics import live_metrics

_LOGGER = logging.getLogger(__name__)


class SinkUnavailableError(Exception):
    """The sink cannot take events now; the same event may pass later."""


class SinkForbiddenError(SinkUnavailableError):
    """The sink does not let us in: nothing passes until somebody changes the user, the password or a permission."""


class EventRefusedError(Exception):
    """The sink will never take this event."""


class Sink(Protocol):
    """What takes events; taking one twice must be as taking it once."""

    def apply(self, event: TrackingEvent) -> None:
        """Take one event. Raises `SinkUnavailableError` or `EventRefusedError`."""


class SpoolDelivery:
    """Moves events from the file `spool` to the sink that `open_sink` gives, in a thread of its own.

    `SPOOL.cursor` holds the bytes that are done, `SPOOL.refused` the events set aside, each after the reason.
    """

    def __init__(self, spool: Path, open_sink: Callable[[], Sink], retry_after_s: float = 15.0) -> None:
        self._spool = spool
        self._cursor = spool.with_name(spool.name + ".cursor")
        self._refused = spool.with_name(spool.name + ".refused")
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._retry_after_s = retry_after_s
        self._fresh = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking-delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the spool has grown."""
        self._fresh.set()

    def close(self, timeout_s: float) -> int:
        """Deliver what the sink takes within the time; returns the number of events that still wait."""
        self._closing.set()
        self._fresh.set()
        self._thread.join(timeout_s)
        return self.num_waiting()

    def num_waiting(self) -> int:
        """Events that no sink has taken yet."""
        return sum(event is not None for event, _ in read_events(self._spool, self._position()))

    def _run(self) -> None:
        closing = False
        while not closing:
            self._fresh.wait()
            self._fresh.clear()
            closing = self._closing.is_set()
            try:
                is_delivered = self._deliver()
            except SinkForbiddenError as error:
                _LOGGER.error("tracking is not delivered by this run; its events wait in %s: %s", self._spool, error)
                self._tell_what_waits()
                return
            live_metrics().set_tracking_backlog(0 if is_delivered else self.num_waiting())
            if not is_delivered and not self._closing.wait(self._retry_after_s):
                self._fresh.set()

    def _tell_what_waits(self) -> None:
        """Until the end of the run, as often as a gauge must be set so that it is not forgotten."""
        while True:
            live_metrics().set_tracking_backlog(self.num_waiting())
            if self._closing.wait(self._retry_after_s):
                return

    def _deliver(self) -> bool:
        """Move events until the spool is empty; False where the sink does not take them now.

        Raises `SinkForbiddenError` where it will not take them from this run.
        """
        try:
            if self._sink is None:
                self._sink = self._open_sink()
            for event, position in read_events(self._spool, self._position()):
                if event is not None:
                    self._apply(self._sink, event)
                self._cursor.write_text(str(position))
        except SinkForbiddenError:
            raise
        except (SinkUnavailableError, OSError) as error:
            reason = redacted(str(error))
            _LOGGER.warning("tracking is not delivered now; its events wait in %s: %s", self._spool, reason)
            return False
        return True

    def _apply(self, sink: Sink, event: TrackingEvent) -> None:
        try:
            sink.apply(event)
        except EventRefusedError as error:
            with self._refused.open("a") as stream:
                stream.write(f"# {' '.join(redacted(str(error)).split())}\n{event.as_line()}")

    def _position(self) -> int:
        return int(self._cursor.read_text() or 0) if self._cursor.exists() else 0
