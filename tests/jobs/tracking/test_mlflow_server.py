"""The tracker against a real MLflow server on the loopback: the same calls that a team's own server gets."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs.tracking.mlflow_tracker import MlflowTracker
from jobs.tracking.protocol import DatasetReference, ModelReference

_START_LIMIT_S = 180.0


@pytest.fixture
def server_uri(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "kept"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen([*command, *store], stdout=log, stderr=log, env=environment)
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(uri, process)
        yield uri
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_healthy(uri: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"the MLflow server at {uri} did not start within {_START_LIMIT_S} s")


@pytest.mark.slow
def test_a_server_shows_metrics_artifacts_lineage_and_the_registered_model(tmp_path: Path, server_uri: str) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>songs</p>")
    model = ModelReference("lelm", "s3://models/base", "ab" * 32)
    tracker = MlflowTracker(server_uri, tmp_path / "tracking.jsonl")
    tracker.run("key", "demo").log_artifact(report)
    child = tracker.step("key", "pretrain")
    child.log_metrics({"loss": 1.5}, step=3)
    child.log_dataset(DatasetReference("corpus", "cd" * 32, "file:///corpus", 900), "training")
    child.log_model(model, "champion")
    child.finish()
    tracker.step("key", "sample").log_model_input(model)
    tracker.step("key", "pretrain/short").log_metrics({"loss": 2.5}, step=1)
    assert tracker.close() == 0
    assert not (tmp_path / "tracking.jsonl.refused").exists()

    client = MlflowClient(server_uri, server_uri)
    runs = client.search_runs([client.get_experiment_by_name("levo").experiment_id])
    by_step = {run.data.tags["levo.step"]: run for run in runs}
    assert by_step["pretrain"].data.metrics == {"loss": 1.5}
    assert [file.path for file in client.list_artifacts(by_step["(parent)"].info.run_id)] == ["report.html"]
    assert client.get_model_version_by_alias("lelm", "champion").tags["levo.uri"] == model.uri
    pretrain = client.get_run(by_step["pretrain"].info.run_id)
    assert [entry.dataset.name for entry in pretrain.inputs.dataset_inputs] == ["corpus"]
    made, used = pretrain.outputs.model_outputs, client.get_run(by_step["sample"].info.run_id).inputs.model_inputs
    assert [one.model_id for one in made] == [one.model_id for one in used]
    assert by_step["pretrain/short"].data.tags["mlflow.parentRunId"] == pretrain.info.run_id
