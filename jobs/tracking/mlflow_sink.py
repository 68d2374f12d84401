"""Applies tracking events to MLflow; applying one twice leaves MLflow as applying it once.

Runs are found by tags (`levo.run_key`, `levo.step`), and metric points carry the event's own time. Characters that
MLflow does not take in a metric's or parameter's name become underscores.
"""

import json
import re
from dataclasses import replace
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from jobs.tracking.delivery import EventRefusedError
from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.mlflow_connection import asking_mlflow, open_client
from jobs.tracking.mlflow_models import SHA256, MlflowModels
from jobs.tracking.mlflow_tables import log_table
from jobs.tracking.protocol import GIT_COMMIT

_RUN_KEY = "levo.run_key"
_STEP = "levo.step"
_PARENT = "mlflow.parentRunId"
_COMMIT = "mlflow.source.git.commit"
_NO_STEP = "(parent)"
_MAX_METRICS_PER_BATCH = 1000
_MAX_PARAMETERS_PER_BATCH = 100
_MAX_DIGEST_LENGTH = 36
_MAX_NAME_LENGTH = 250


class MlflowSink:
    """One experiment of one MLflow store; opening it creates or migrates the store's tables."""

    def __init__(self, tracking_uri: str, experiment: str, artifact_location: str | None) -> None:
        self._uri = tracking_uri
        with asking_mlflow(tracking_uri):
            self._client = open_client(tracking_uri)
            self._experiment_id = self._open_experiment(experiment, artifact_location)
        self._models = MlflowModels(self._client, self._experiment_id)
        self._run_ids: dict[tuple[str, str], str] = {}

    def apply(self, event: TrackingEvent) -> None:
        """Bring MLflow up to one event. Raises what `asking_mlflow` raises."""
        try:
            with asking_mlflow(self._uri):
                self._apply(event)
        except FileNotFoundError as error:
            raise EventRefusedError(f"artifact is gone: {error}") from error

    def _apply(self, event: TrackingEvent) -> None:
        run_id = self._run_id(event)
        content = event.content
        match event.kind:
            case EventKind.BEGIN:
                self._begin(run_id, content["name"])
            case EventKind.PARAMETERS:
                self._log_parameters(run_id, content)
            case EventKind.METRICS:
                self._log_metrics(run_id, event)
            case EventKind.TAGS:
                self._log_tags(run_id, content)
            case EventKind.DATASET:
                self._log_dataset(run_id, content)
            case EventKind.ARTIFACT:
                self._client.log_artifact(run_id, content["file"], content["folder"] or None)
            case EventKind.TABLE:
                log_table(self._client, run_id, content)
            case EventKind.ALIASES:
                self._models.move_aliases(content)
            case EventKind.MODEL:
                self._models.register(run_id, content)
            case EventKind.MODEL_INPUT:
                self._models.use(run_id, content)
            case EventKind.FINISH:
                self._client.set_terminated(run_id, status=content["status"], end_time=event.time_ms)

    def _open_experiment(self, name: str, artifact_location: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name, artifact_location=artifact_location))
        return str(found.experiment_id)

    def _run_id(self, event: TrackingEvent) -> str:
        """The MLflow run of an event, made where there is none."""
        address = (event.run_key, event.step)
        if address not in self._run_ids:
            found = self._find_run(*address)
            self._run_ids[address] = (found or self._create_run(event)).info.run_id
        return self._run_ids[address]

    def _find_run(self, run_key: str, step: str) -> Run | None:
        query = f"tags.`{_RUN_KEY}` = '{run_key}' AND tags.`{_STEP}` = '{step or _NO_STEP}'"
        runs = self._client.search_runs([self._experiment_id], query, max_results=1, order_by=["attributes.start_time"])
        return runs[0] if runs else None

    def _create_run(self, event: TrackingEvent) -> Run:
        tags = {_RUN_KEY: event.run_key, _STEP: event.step or _NO_STEP}
        if event.step:
            tags[_PARENT] = self._run_id(replace(event, step=event.step.rpartition("/")[0]))
        name = event.step or event.run_key
        return self._client.create_run(self._experiment_id, start_time=event.time_ms, tags=tags, run_name=name)

    def _begin(self, run_id: str, name: str) -> None:
        """Name the run; one that failed before runs again, one that was finished stays so until it is ended again."""
        status = self._client.get_run(run_id).info.status
        self._client.update_run(run_id, status=None if status == "FINISHED" else "RUNNING", name=name)

    def _log_parameters(self, run_id: str, content: dict[str, str]) -> None:
        known = self._client.get_run(run_id).data.params
        named = {allowed_name(name): value for name, value in content.items()}
        fresh = [Param(name, value) for name, value in named.items() if name not in known]
        for start in range(0, len(fresh), _MAX_PARAMETERS_PER_BATCH):
            self._client.log_batch(run_id, params=fresh[start : start + _MAX_PARAMETERS_PER_BATCH])

    def _log_metrics(self, run_id: str, event: TrackingEvent) -> None:
        values, step = event.content["values"], event.content["at"]
        points = [Metric(allowed_name(name), value, event.time_ms, step) for name, value in values.items()]
        for start in range(0, len(points), _MAX_METRICS_PER_BATCH):
            self._client.log_batch(run_id, metrics=points[start : start + _MAX_METRICS_PER_BATCH])

    def _log_tags(self, run_id: str, content: dict[str, str]) -> None:
        """Tags as they are; the commit also where MLflow's pages look for it."""
        tags = content | ({_COMMIT: content[GIT_COMMIT]} if GIT_COMMIT in content else {})
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def _log_dataset(self, run_id: str, content: dict[str, Any]) -> None:
        source = json.dumps({"uri": content["uri"]})
        profile = json.dumps({"num_rows": content["num_rows"]})
        digest = content["digest"][:_MAX_DIGEST_LENGTH]
        dataset = Dataset(content["name"], digest, "local", source, profile=profile)
        tags = [InputTag("mlflow.data.context", content["context"]), InputTag(SHA256, content["digest"])]
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])


def allowed_name(name: str) -> str:
    """A metric's or parameter's name as MLflow takes it: a short path of letters, digits and `_ - . : space`."""
    parts = [re.sub(r"[^\w.\- :]", "_", part) for part in name.split("/")]
    path = "/".join(part.replace(".", "_") if not part.strip(".") else part for part in parts if part)
    return path[:_MAX_NAME_LENGTH].rstrip("/") or "_"
