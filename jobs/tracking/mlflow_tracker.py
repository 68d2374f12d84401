"""The MLflow tracker: every event goes to a spool file at once, and from there to MLflow.

MLflow is imported, and its tables are made or migrated, in the delivering thread: a run does not wait for either.
"""

import os
from pathlib import Path

from jobs.tracking.delivery import Sink, SpoolDelivery
from jobs.tracking.events import EventRun, TrackingEvent
from jobs.tracking.jsonl_tracker import JsonLinesTracker
from jobs.tracking.protocol import TrackedRun, Tracker

TRACKING_FILE = "tracking.jsonl"
_CLOSE_TIMEOUT_S = 60.0


class MlflowTracker:
    """Tracks to the MLflow store at `tracking_uri`; `spool` keeps every event, so it is a JSON-lines record as well.

    `artifact_location` is where files are kept; None leaves the choice to the server.
    """

    def __init__(
        self,
        tracking_uri: str,
        spool: Path,
        *,
        experiment: str = "levo",
        artifact_location: str | None = None,
        retry_after_s: float = 15.0,
    ) -> None:
        def open_sink() -> Sink:
            from jobs.tracking.mlflow_sink import MlflowSink

            return MlflowSink(tracking_uri, experiment, artifact_location)

        self._spool = JsonLinesTracker(spool)
        self._delivery = SpoolDelivery(spool, open_sink, retry_after_s)
        self._delivery.wake()

    def run(self, run_key: str, name: str) -> TrackedRun:
        """The parent run of a key."""
        return EventRun(run_key, "", name, self._emit)

    def step(self, run_key: str, step: str) -> TrackedRun:
        """The child run of a step."""
        return EventRun(run_key, step, step, self._emit)

    def close(self, timeout_s: float = _CLOSE_TIMEOUT_S) -> int:
        """Deliver what MLflow takes within the time; the rest stays in the spool, and is counted."""
        return self._delivery.close(timeout_s)

    def _emit(self, event: TrackingEvent) -> None:
        self._spool.append(event)
        self._delivery.wake()


def open_tracker(folder: Path, tracking_uri: str | None = None) -> Tracker:
    """The tracker of a run whose files lie in `folder`.

    `tracking_uri` (else MLFLOW_TRACKING_URI) names a server; `none` asks for JSON lines alone; without either, the
    store is a database in the folder, to be shown by `mlflow ui --backend-store-uri` with `store_uri`.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    spool = folder / TRACKING_FILE
    if uri == "none":
        return JsonLinesTracker(spool)
    if uri:
        return MlflowTracker(uri, spool)
    return MlflowTracker(store_uri(folder), spool, artifact_location=(folder / "mlartifacts").resolve().as_uri())


def store_uri(folder: Path) -> str:
    """The address of the MLflow store that a run's folder holds."""
    return f"sqlite:///{(folder / 'mlflow.db').resolve()}"
