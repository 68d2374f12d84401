"""MLflow as the compose file starts it, beside a real PostgreSQL and an S3 server: users, artifacts, nothing else."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.infra.kustomize import ROOT
from tests.jobs.tracking.mlflow_server import free_port
from tests.jobs.tracking.postgres import private_postgres
from tests.pipelines.corpus.s3_server import S3Server

COMPOSE = yaml.safe_load((ROOT / "infra" / "compose" / "compose.yaml").read_text())
PASSWORD = "a-password-of-the-administrator"
_START_LIMIT_S = 180.0


def told(text: str, values: dict[str, str]) -> str:
    """A value of the compose file with what `.env` and the network of the services would put in."""
    for pattern, value in values.items():
        text = re.sub(pattern, value, text)
    assert "${" not in text, text
    return text


@contextmanager
def started(command: list[str], environment: dict[str, str], port: int, log: Path) -> Iterator[str]:
    """A server that answers for its health."""
    with log.open("w") as file:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=file, stderr=file)
    address, deadline_s = f"http://127.0.0.1:{port}", time.monotonic() + _START_LIMIT_S
    try:
        while True:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline_s, log.read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_mlflow_keeps_runs_in_postgresql_and_artifacts_in_the_store_for_those_who_log_in(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    service, port = COMPOSE["services"]["mlflow"], free_port()
    with private_postgres() as database:
        place = urlsplit(database)
        values = {
            r"mlflow:\$\{POSTGRES_PASSWORD[^}]*\}@postgres:5432/mlflow": f"{place.netloc}{place.path}",
            r"\$\{MLFLOW_ADMIN_PASSWORD[^}]*\}": PASSWORD,
            r"\$\{MLFLOW_SECRET_KEY[^}]*\}": "a-secret-key",
            r"\$\{S3_(ACCESS|SECRET)_KEY[^}]*\}": "test",
            r"http://s3:7070": s3_server.url,
            r"/etc/mlflow": str(tmp_path),
        }
        environment = {name: told(value, values) for name, value in service["environment"].items()}
        (tmp_path / "auth.ini").write_text(told(COMPOSE["configs"]["mlflow-auth"]["content"], values))
        command = [word.replace("0.0.0.0", "127.0.0.1").replace("5000", str(port)) for word in service["command"]]
        s3_server.client().create_bucket(Bucket="mlflow")
        log = tmp_path / "mlflow.log"
        with started([sys.executable, "-m", *command], environment, port, log) as address:
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=30)
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
            from mlflow import MlflowClient

            client = MlflowClient(address)
            run = client.create_run(client.create_experiment("compose"))
            client.log_metric(run.info.run_id, "phoneme_error_rate", 0.25)
            client.log_text(run.info.run_id, "a song", "song.txt")
            assert client.get_run(run.info.run_id).data.metrics == {"phoneme_error_rate": 0.25}
            assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["song.txt"]
    kept = s3_server.client().list_objects_v2(Bucket="mlflow")["Contents"]
    assert [one["Key"].rpartition("/")[2] for one in kept] == ["song.txt"]
