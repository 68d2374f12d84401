"""Which events say something new: nothing is logged twice, so that a resumed run may log all of a step again."""

import json

from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.protocol import RunStatus

_Subject = tuple[str, ...]


class Novelty:
    """Remembers what the events so far said, whenever they happened.

    A curve's point (its step is above 0) stays as it was first given; of anything else the last saying counts. A run
    ends again only where it was begun after a failure, or where it or a run below it got new metrics.
    """

    def __init__(self) -> None:
        self._said: dict[_Subject, int] = {}

    def take(self, event: TrackingEvent) -> bool:
        """Whether the event says something new; it counts as said from now on."""
        subject = _subject(event)
        if subject is None:
            self._begin_again(event)
            return True
        content = hash(json.dumps(event.content, sort_keys=True))
        is_fixed = event.kind is EventKind.METRICS and event.content["at"] > 0
        if subject in self._said and (is_fixed or self._said[subject] == content):
            return False
        self._said[subject] = content
        if event.kind is EventKind.METRICS:
            self._forget_ends(event)
        return True

    def _begin_again(self, event: TrackingEvent) -> None:
        ended = (event.run_key, event.step, EventKind.FINISH)
        if event.kind is EventKind.BEGIN and self._said.get(ended) != _content_of(RunStatus.FINISHED):
            self._said.pop(ended, None)

    def _forget_ends(self, event: TrackingEvent) -> None:
        parts = event.step.split("/") if event.step else []
        for depth in range(len(parts) + 1):
            self._said.pop((event.run_key, "/".join(parts[:depth]), EventKind.FINISH), None)


def _content_of(status: RunStatus) -> int:
    return hash(json.dumps({"status": status.value}))


def _subject(event: TrackingEvent) -> _Subject | None:
    """What an event speaks of; None for what is always new."""
    content = event.content
    match event.kind:
        case EventKind.BEGIN | EventKind.ARTIFACT:
            return None
        case EventKind.METRICS:
            about = (str(content["at"]), *sorted(content["values"]))
        case EventKind.PARAMETERS | EventKind.TAGS:
            about = tuple(sorted(content))
        case EventKind.DATASET:
            about = (content["name"], content["digest"], content["context"])
        case EventKind.MODEL:
            about = (content["name"], content["alias"] or content["sha256"])
        case EventKind.TABLE:
            about = (content["name"],)
        case EventKind.ALIASES:
            about = (content["name"], str(content["decision"]))
        case EventKind.MODEL_INPUT:
            about = (content["name"], content["sha256"])
        case EventKind.FINISH:
            about = ()
    return (event.run_key, event.step, event.kind, *about)
