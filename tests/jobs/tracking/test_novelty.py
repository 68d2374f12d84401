"""What counts as new: nothing is logged twice, and nothing that changed is left out."""

from typing import Any

from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.novelty import Novelty


def event(kind: EventKind, step: str = "train", **content: Any) -> TrackingEvent:
    return TrackingEvent(kind, "key", step, 1, content)


def metrics(step: str = "train", at: int = 0, **values: float) -> TrackingEvent:
    return event(EventKind.METRICS, step, values=values, at=at)


def finish(step: str = "train", status: str = "FINISHED") -> TrackingEvent:
    return event(EventKind.FINISH, step, status=status)


def model(sha256: str, alias: str | None = None) -> TrackingEvent:
    return event(EventKind.MODEL, name="lelm", uri="file:///a", sha256=sha256, alias=alias)


def taken(*events: TrackingEvent) -> list[bool]:
    novelty = Novelty()
    return [novelty.take(one) for one in events]


def test_the_same_again_is_not_new_whenever_it_happened() -> None:
    said = TrackingEvent(EventKind.METRICS, "key", "train", 1, {"values": {"loss": 1.0}, "at": 0})
    again = TrackingEvent(EventKind.METRICS, "key", "train", 99, {"values": {"loss": 1.0}, "at": 0})
    assert taken(said, again) == [True, False]


def test_another_value_run_or_name_is_new() -> None:
    assert taken(metrics(loss=1.0), metrics(loss=2.0), metrics("align", loss=2.0), metrics(wall_s=2.0)) == [True] * 4


def test_a_curves_point_stays_as_it_was_first_given() -> None:
    # A phase that is resumed runs some steps again, at another speed.
    assert taken(metrics(at=10, speed=1.0), metrics(at=10, speed=9.0), metrics(at=20, speed=9.0)) == [True, False, True]


def test_the_last_value_of_a_tag_counts() -> None:
    tags = [event(EventKind.TAGS, commit=value) for value in ("a", "b", "b", "a")]
    assert taken(*tags) == [True, True, False, True]


def test_an_alias_may_come_back_to_a_model() -> None:
    candidates = [model(sha256, "candidate") for sha256 in ("a", "b", "b", "a")]
    assert taken(*candidates) == [True, True, False, True]


def test_versions_of_one_model_are_each_said_once() -> None:
    assert taken(model("a"), model("b"), model("a"), model("b")) == [True, True, False, False]


def test_a_decision_on_aliases_is_said_once_and_the_last_table_of_a_name_counts() -> None:
    moves = [
        event(EventKind.ALIASES, name="lelm", moves=[["champion", sha256]], decision=decision)
        for sha256, decision in (("a", 1), ("b", 2), ("a", 1), ("a", 3))
    ]
    assert taken(*moves) == [True, True, False, True]
    tables = [event(EventKind.TABLE, name="songs", columns=["a"], rows=[[row]]) for row in (1, 1, 2)]
    assert taken(*tables) == [True, False, True]


def test_an_end_is_new_again_where_the_run_or_one_below_it_got_metrics() -> None:
    below = metrics("train/extend", at=10, loss=1.0)
    ends = taken(finish(), finish(), below, finish(), finish("train/extend"), metrics("align", loss=1.0), finish())
    assert ends == [True, False, True, True, True, True, False]
    assert taken(finish(""), below, finish("")) == [True, True, True]


def test_a_run_that_failed_twice_without_saying_a_word_failed_twice() -> None:
    begin = event(EventKind.BEGIN, name="train")
    assert taken(begin, finish(status="FAILED"), begin, finish(status="FAILED")) == [True] * 4
    assert taken(begin, finish(), begin, finish()) == [True, True, True, False]
