"""Doors: a cluster that a command starts for itself lets nobody in without the token, whoever reaches its ports."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]
_PROGRAM = """
import json, os, subprocess, sys, time, urllib.error, urllib.request
import psutil
from jobs.cluster import ray_cluster

def answer(port):
    body = json.dumps({"entrypoint": "touch " + sys.argv[1]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/job_agent/jobs/", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except Exception:
        return None

def agent_ports(own):
    found = set()
    for process in own.children(recursive=True):
        try:
            named = "DashboardAgent" in process.name()
            found |= {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN" and named}
        except psutil.Error:
            continue
    return sorted(found)

with ray_cluster():
    import ray
    deadline = time.monotonic() + 5
    answers = {}
    while not any(answers.values()) and time.monotonic() < deadline:
        answers = {port: answer(port) for port in agent_ports(psutil.Process())}
    outsider = "import ray; ray.init(address=%r, log_to_driver=False); print('in')"
    theirs = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another one", "RAY_NUM_REDIS_GET_RETRIES": "2"}
    stranger = {**os.environ, **theirs}
    address = ray.get_runtime_context().gcs_address
    came = subprocess.run([sys.executable, "-c", outsider % address], env=stranger, capture_output=True, text=True)
    told = {"answers": answers, "came": came.stdout, "why": came.stderr, "token": os.environ["RAY_AUTH_TOKEN"]}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a command's own cluster, and an empty home folder, show to somebody without the token."""
    folder = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder / "it-ran")],
        env=environment | {"HOME": str(folder), "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told | {"home": folder}


@pytest.mark.ray
def test_a_job_without_a_token_is_not_taken(own_cluster: dict[str, Any]) -> None:
    # Which doors the agent opens depends on the ports that other clusters of this machine have taken.
    assert {code for code in own_cluster["answers"].values() if code is not None and code < 400} == set()
    assert not (own_cluster["home"] / "it-ran").exists()


@pytest.mark.ray
def test_a_driver_with_another_token_is_not_let_in(own_cluster: dict[str, Any]) -> None:
    assert own_cluster["came"] == ""
    assert "InvalidAuthToken" in own_cluster["why"]


@pytest.mark.ray
def test_the_token_is_long_and_lies_in_no_file(own_cluster: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", own_cluster["token"])
    assert not (own_cluster["home"] / ".ray").exists()


def test_every_mlflow_server_that_we_start_asks_for_a_password_and_runs_no_jobs() -> None:
    for file in sorted((_REPOSITORY / "infra").rglob("*.y*ml")):
        text = file.read_text()
        if re.search(r"mlflow[\"',\s\]-]+server", text):
            assert "basic-auth" in text, f"{file.name}: mlflow server without --app-name basic-auth"
            assert re.search(r"MLFLOW_SERVER_ENABLE_JOB_EXECUTION[\"']?[:=\s]+(?:value: *)?[\"']?false", text), (
                file.name
            )
