"""A tracking event: one thing that happened to one run, written so that it can be delivered later and twice."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobs.tracking.protocol import DatasetReference, ModelReference, Parameter, RunStatus
from jobs.tracking.redaction import HIDDEN, is_secret_name, redacted_values


class EventKind(StrEnum):
    """What happened."""

    BEGIN = "begin"
    PARAMETERS = "parameters"
    METRICS = "metrics"
    TAGS = "tags"
    DATASET = "dataset"
    ARTIFACT = "artifact"
    TABLE = "table"
    MODEL = "model"
    ALIASES = "aliases"
    MODEL_INPUT = "model_input"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    """An event of the run `run_key` (its parent where `step` is empty); `time_ms` is when it happened, since 1970.

    A step named `train/extend` is a run below the step `train`.
    """

    kind: EventKind
    run_key: str
    step: str
    time_ms: int
    content: dict[str, Any]

    def as_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"


def event_from_line(line: str) -> TrackingEvent:
    """Read what `as_line` wrote."""
    fields = json.loads(line)
    return TrackingEvent(**{**fields, "kind": EventKind(fields["kind"])})


class EventRun:
    """A `TrackedRun` that turns every call into an event without secrets and hands it on."""

    def __init__(self, run_key: str, step: str, name: str, emit: Callable[[TrackingEvent], None]) -> None:
        self._run_key = run_key
        self._step = step
        self._emit = emit
        self._log(EventKind.BEGIN, {"name": name})

    def log_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """What the run was made with."""
        hidden = {name: HIDDEN for name, value in parameters.items() if is_secret_name(name) and value is not None}
        self._log(EventKind.PARAMETERS, {name: str(value) for name, value in parameters.items()} | hidden)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Numbers at a step."""
        self._log(EventKind.METRICS, {"values": {name: float(value) for name, value in metrics.items()}, "at": step})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Labels to find the run by."""
        self._log(EventKind.TAGS, dict(tags))

    def log_dataset(self, dataset: DatasetReference, context: str) -> None:
        """What was read or written."""
        self._log(EventKind.DATASET, {**asdict(dataset), "context": context})

    def log_artifact(self, file: Path, folder: str = "") -> None:
        """Keep a file with the run."""
        if not file.is_file():
            raise FileNotFoundError(f"artifact {file} is not a file")
        self._log(EventKind.ARTIFACT, {"file": str(file.resolve()), "folder": folder})

    def log_table(self, name: str, columns: Mapping[str, Sequence[Parameter]]) -> None:
        """Keep a table with the run."""
        lengths = {column: len(entries) for column, entries in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"table {name} has columns of {lengths}; expected one or more, all of one length")
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        self._log(EventKind.TABLE, {"name": name, "columns": list(columns), "rows": rows})

    def log_model(self, model: ModelReference, alias: str | None = None) -> None:
        """Register a model made by this run."""
        self._log(EventKind.MODEL, {**asdict(model), "alias": alias})

    def log_aliases(self, name: str, aliases: Mapping[str, str | None], decision: int) -> None:
        """Move aliases of a registered model."""
        moves = [[alias, sha256] for alias, sha256 in aliases.items()]
        self._log(EventKind.ALIASES, {"name": name, "moves": moves, "decision": decision})

    def log_model_input(self, model: ModelReference) -> None:
        """A registered model that this run used."""
        self._log(EventKind.MODEL_INPUT, asdict(model))

    def finish(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """End the run."""
        self._log(EventKind.FINISH, {"status": status.value})

    def _log(self, kind: EventKind, content: dict[str, Any]) -> None:
        # A file's own place must stay as it is to be found; it is not sent.
        told = content if kind is EventKind.ARTIFACT else redacted_values(content)
        self._emit(TrackingEvent(kind, self._run_key, self._step, time.time_ns() // 1_000_000, told))
