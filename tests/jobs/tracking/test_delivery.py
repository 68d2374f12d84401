"""Delivery from the spool: in order, each event once where the sink holds, and never lost where it does not."""

import threading
from pathlib import Path

import pytest

from jobs.tracking.delivery import EventRefusedError, SinkForbiddenError, SinkUnavailableError, SpoolDelivery
from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.jsonl_tracker import JsonLinesTracker, read_events
from pipelines.observability.metrics import Metrics


class RecordingSink:
    """Takes events; is away for the first `num_failures` of them and refuses those whose step is `refused`."""

    def __init__(self, num_failures: int = 0, refused: str = "") -> None:
        self.taken: list[str] = []
        self._num_failures = num_failures
        self._refused = refused

    def apply(self, event: TrackingEvent) -> None:
        if self._num_failures:
            self._num_failures -= 1
            raise SinkUnavailableError("away")
        if self._refused and event.step == self._refused:
            raise EventRefusedError("a value\nthat changed")
        self.taken.append(event.step)


def _write(spool: Path, steps: list[str]) -> None:
    tracker = JsonLinesTracker(spool)
    for step in steps:
        tracker.append(TrackingEvent(EventKind.METRICS, "key", step, 1, {"values": {"loss": 1.0}, "at": 0}))


def test_a_sink_that_comes_back_gets_every_event_in_order(tmp_path: Path) -> None:
    spool, sink = tmp_path / "spool", RecordingSink(num_failures=3)
    _write(spool, ["a", "b", "c"])
    delivery = SpoolDelivery(spool, lambda: sink, retry_after_s=0.01)
    delivery.wake()
    while delivery.num_waiting():
        delivery.wake()
    assert delivery.close(10) == 0
    assert sink.taken == ["a", "b", "c"]


def test_a_delivery_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    spool, first, second = tmp_path / "spool", RecordingSink(), RecordingSink()
    _write(spool, ["a", "b"])
    assert SpoolDelivery(spool, lambda: first).close(10) == 0
    _write(spool, ["c"])
    assert SpoolDelivery(spool, lambda: second).close(10) == 0
    assert (first.taken, second.taken) == (["a", "b"], ["c"])


def test_a_sink_that_cannot_be_opened_leaves_everything_waiting(tmp_path: Path) -> None:
    def open_nothing() -> RecordingSink:
        raise SinkUnavailableError("no such host")

    _write(tmp_path / "spool", ["a", "b"])
    assert SpoolDelivery(tmp_path / "spool", open_nothing).close(10) == 2


def test_a_sink_that_lets_nobody_in_is_not_asked_again_and_what_waits_is_told_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, told, told_thrice = [], [], threading.Event()

    def open_nothing() -> RecordingSink:
        asked.append(1)
        raise SinkForbiddenError("unknown user")

    class Told(Metrics):
        def set_tracking_backlog(self, num_events: int) -> None:
            told.append(num_events)
            if len(told) == 3:
                told_thrice.set()

    monkeypatch.setattr("jobs.tracking.delivery.live_metrics", Told)
    _write(tmp_path / "spool", ["a", "b"])
    delivery = SpoolDelivery(tmp_path / "spool", open_nothing, retry_after_s=0.01)
    delivery.wake()
    assert told_thrice.wait(10), "Ray forgets a gauge that is not set again"
    assert delivery.close(10) == 2
    assert (len(asked), set(told)) == (1, {2})


def test_a_refused_event_is_set_aside_with_its_reason_and_holds_up_nothing(tmp_path: Path) -> None:
    spool, sink = tmp_path / "spool", RecordingSink(refused="b")
    _write(spool, ["a", "b", "c"])
    assert SpoolDelivery(spool, lambda: sink).close(10) == 0
    assert sink.taken == ["a", "c"]
    reason, line = (tmp_path / "spool.refused").read_text().splitlines()
    assert reason == "# a value that changed"
    assert '"step": "b"' in line


def test_a_line_that_a_crash_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    spool, sink = tmp_path / "spool", RecordingSink()
    _write(spool, ["a", "b"])
    content = spool.read_text()
    spool.write_text(content[: len(content) - 20])
    _write(spool, ["c"])
    assert [event.step if event else None for event, _ in read_events(spool)] == ["a", None, "c"]
    assert SpoolDelivery(spool, lambda: sink).close(10) == 0
    assert sink.taken == ["a", "c"]
