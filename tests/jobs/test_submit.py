"""Steps as Ray jobs: a repeat is recognised, a failure is tried again, and a real cluster runs them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest

import jobs.submission
from jobs.cli import main
from jobs.lineage.code import code_tags, submission_tags
from jobs.submission import JobState, StepJob, SubmissionError, UnknownJobError, known, latest_of, submit

JOB = StepJob("tiny", "align", "/runs/nightly", image="registry/levo@sha256:1234")


class Status(Enum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


@dataclass
class Details:
    submission_id: str
    status: Status


@dataclass
class FakeClient:
    """A cluster's job list; `hidden` jobs are there but were not seen when asked."""

    jobs: list[Details] = field(default_factory=list)
    hidden: list[Details] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)

    def list_jobs(self) -> list[Details]:
        return [Details("raysubmit_other", Status.RUNNING), *self.jobs]

    def submit_job(self, **settings: Any) -> str:
        self.jobs += self.hidden
        if settings["submission_id"] in [job.submission_id for job in self.jobs]:
            raise RuntimeError("Request failed with status code 500: already exists")
        self.settings.append(settings)
        self.jobs.append(Details(settings["submission_id"], Status.PENDING))
        return str(settings["submission_id"])

    def get_job_logs(self, job_id: str) -> str:
        return f"log of {job_id}\n"

    def stop_job(self, _job_id: str) -> bool:
        return True


def test_a_step_is_submitted_once_and_its_id_says_what_it_is() -> None:
    client = FakeClient()
    first = submit(JOB, client)
    assert (first.state, first.attempt, first.is_new) == (JobState.PENDING, 1, True)
    assert first.submission_id.startswith("levo-tiny-align-")
    for status in (Status.PENDING, Status.RUNNING, Status.SUCCEEDED):
        client.jobs[0].status = status
        again = submit(JOB, client)
        assert (again.submission_id, again.is_new) == (first.submission_id, False)
        assert again.state.value == status.value.lower()
    assert len(client.settings) == 1


@pytest.mark.parametrize("ended", [Status.FAILED, Status.STOPPED])
def test_what_failed_or_was_stopped_is_tried_again_under_a_new_attempt(ended: Status) -> None:
    client = FakeClient()
    first = submit(JOB, client)
    client.jobs[0].status = ended
    second = submit(JOB, client)
    assert (second.attempt, second.is_new) == (2, True)
    assert second.submission_id == first.submission_id[:-1] + "2"
    assert latest_of(JOB, client).attempt == 2


def test_of_two_submitters_at_once_the_later_is_told_of_the_first() -> None:
    client = FakeClient(hidden=[Details(f"{JOB.name}-1", Status.RUNNING)])
    told = submit(JOB, client)
    assert (told.submission_id, told.is_new, told.state) == (f"{JOB.name}-1", False, JobState.RUNNING)


def test_a_cluster_that_starts_is_waited_for_and_one_that_refuses_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.submission, "_RETRY_S", 0.0)

    class Starting(FakeClient):
        answers: ClassVar[list[str]] = ["No available agent to submit job, please try again later"] * 2

        def submit_job(self, **settings: Any) -> str:
            if self.answers:
                raise RuntimeError(self.answers.pop())
            return super().submit_job(**settings)

    starting = Starting()
    assert submit(JOB, starting).is_new
    Starting.answers.append("no space left")
    starting.jobs.clear()
    with pytest.raises(SubmissionError, match=f"{JOB.name}-1 was not taken: no space left"):
        submit(JOB, starting)
    Starting.answers += ["try again later"] * 9
    with pytest.raises(SubmissionError, match="try again later"):
        submit(JOB, starting, patience_s=-1)


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "demo"},
        {"step": "merge"},
        {"run": "/runs/other"},
        {"seed": 1},
        {"image": "registry/levo@sha256:5678"},
        {"working_dir": "."},
    ],
)
def test_another_step_run_or_code_is_another_job(other: dict[str, Any]) -> None:
    assert replace(JOB, **other).name != JOB.name
    assert replace(JOB).name == JOB.name


def test_the_job_carries_where_its_code_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient()
    submit(replace(JOB, tracking_uri="http://mlflow:5000"), client)
    (settings,) = client.settings
    assert settings["entrypoint"] == (
        "levo align --recipe=tiny --run=/runs/nightly --seed=0 --tracking-uri=http://mlflow:5000"
    )
    assert "working_dir" not in settings["runtime_env"]
    assert settings["metadata"]["levo.image"] == JOB.image
    assert settings["metadata"]["levo.source"] == "image"
    # The submitter's checkout says nothing of an image; the image does.
    assert not {"levo.constraints_sha256", "git_commit"} & settings["metadata"].keys()
    assert not {"LEVO_CONSTRAINTS_SHA256", "LEVO_COMMIT"} & settings["runtime_env"]["env_vars"].keys()
    for name, value in settings["runtime_env"]["env_vars"].items():
        monkeypatch.setenv(name, value)
    tags = submission_tags()
    assert tags["submission_id"] == settings["submission_id"]
    assert (tags["code_source"], tags["image"]) == ("image", JOB.image)
    developing = FakeClient()
    submit(replace(JOB, working_dir="checkout"), developing)
    assert developing.settings[0]["runtime_env"]["working_dir"] == "checkout"
    assert developing.settings[0]["metadata"]["levo.source"] == "working_dir checkout"
    assert len(developing.settings[0]["metadata"]["levo.constraints_sha256"]) == 64
    told = developing.settings[0]["runtime_env"]["env_vars"]
    assert told["LEVO_COMMIT"] == code_tags().get("git_commit", ""), "the folder's, not the image's"


def test_a_step_in_a_named_image_is_the_same_job_from_any_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for commit in ("abc", "def"):
        monkeypatch.setattr("jobs.submission.code_tags", lambda commit=commit: {"git_commit": commit})
        names.append([replace(JOB, **other).name for other in ({}, {"image": None}, {"working_dir": "."})])
    same = [first == second for first, second in zip(*names, strict=True)]
    assert same == [True, False, False]


def test_a_password_in_the_trackers_address_is_refused_before_the_cluster_shows_it() -> None:
    told = r"http://\*\*\*@mlflow:5000.*MLFLOW_TRACKING_PASSWORD from a secret"
    with pytest.raises(ValueError, match=told) as refused:
        StepJob("tiny", "align", "/runs", tracking_uri="http://levo:hidden-word@mlflow:5000")
    assert "hidden-word" not in str(refused.value)


def test_wrong_steps_and_unknown_jobs_are_named() -> None:
    with pytest.raises(ValueError, match="step is 'demo'; expected one of train, sample"):
        StepJob("tiny", "demo", "/runs")
    with pytest.raises(UnknownJobError, match="align of /runs/nightly was not submitted there"):
        known(JOB, FakeClient())


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Ray head of the test's own with its dashboard on loopback, which asks for a token."""
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        gcs, dashboard = int(free.getsockname()[1]), int(other.getsockname()[1])
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
    # Ray's sockets lie there, whose paths must be short.
    folder = tempfile.mkdtemp(prefix="ray-")
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={gcs}",
        "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", "--num-cpus=2",
        f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    log = (tmp_path / "ray.log").open("wb")
    head = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"RAY_AUTH_MODE": "token"})
    yield f"http://127.0.0.1:{dashboard}"
    head.terminate()
    try:
        head.wait(30)
    except subprocess.TimeoutExpired:
        head.kill()
    log.close()
    shutil.rmtree(folder, ignore_errors=True)


def answer(address: str) -> int | None:
    """The status of an answer; None where nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return None


PROGRAM = """
import os, sys, time
print("arguments", sys.argv[1:], "attempt", os.environ["LEVO_SUBMISSION_ID"][-1], flush=True)
if "--seed=7" in sys.argv:
    sys.exit(3)
if "--seed=8" in sys.argv:
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.ray
def test_a_real_cluster_runs_tells_and_stops(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and answer(cluster) is None:
        time.sleep(0.5)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def step(command: str, seed: int, *more: str) -> tuple[int, str]:
        same = ["tiny", "merge", "--run", "/runs/x", "--seed", str(seed), "--address", cluster]
        code = main([command, *same, "--program", f"{sys.executable} {program}", *more])
        return code, capsys.readouterr().out

    code, out = step("submit", 1, "--wait")
    assert code == 0, out
    assert "submitted" in out
    assert "arguments ['merge', '--recipe=tiny', '--run=/runs/x', '--seed=1'] attempt 1" in out
    assert "succeeded already" in step("submit", 1)[1]
    assert step("submit", 7, "--wait")[0] == 1
    assert "attempt 2" in step("submit", 7, "--wait")[1]
    assert step("submit", 8)[0] == 0
    assert "asked to stop" in step("stop", 8)[1]
    assert "stopped" in step("logs", 8, "--follow")[1]
    assert "stopped" in step("status", 8)[1]
    assert "not submitted" in step("status", 9)[1]
    assert answer(f"{cluster}/api/jobs/") == 401, "nobody without the token"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    assert main(["status", "tiny", "merge", "--run", "/runs/x", "--address", cluster]) == 1
    assert "wants its token, the one that was given is another" in capsys.readouterr().err


def test_a_night_is_a_job_of_its_date() -> None:
    night = StepJob("demo", "refresh", "/runs/current", date="2026-11-26", store="/runs/refresh")
    assert night.entrypoint == (
        "levo refresh --recipe=demo --run=/runs/current --seed=0 --date=2026-11-26 --store=/runs/refresh"
    )
    assert night.name.startswith("levo-demo-refresh-2026-11-26-")
    assert night.name != replace(night, date="2026-11-27").name
    assert night.metadata(1)["levo.date"] == "2026-11-26"


@pytest.mark.parametrize(
    ("step", "date", "told"),
    [("refresh", None, "--date is None for the step refresh; expected one"), ("align", "2026-11-26", "expected none")],
)
def test_dates_belong_to_nights(step: str, date: str | None, told: str) -> None:
    store = "/runs/refresh" if step == "refresh" else None
    with pytest.raises(ValueError, match=told):
        StepJob("demo", step, "/runs/current", date=date, store=store)
