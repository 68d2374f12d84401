"""The tracker against a real MLflow server with users and passwords: what a team's own server shows of a run."""

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from jobs.tracking.aliases import aliased_model, champion_of
from jobs.tracking.delivery import SinkForbiddenError, SinkUnavailableError
from jobs.tracking.mlflow_tracker import MlflowTracker
from jobs.tracking.protocol import CANDIDATE, CHAMPION, PREVIOUS, DatasetReference, ModelReference
from jobs.tracking.system_metrics import ENABLED, system_metrics
from tests.jobs.tracking.mlflow_server import USER, MlflowServer, free_port
from tests.jobs.tracking.postgres import private_postgres

pytestmark = pytest.mark.xdist_group("mlflow")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow")
    is_file = request.param == "sqlite"
    with nullcontext(f"sqlite:///{folder}/store.db") if is_file else private_postgres() as store_uri:
        server = MlflowServer(folder, store_uri)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def server(running: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> MlflowServer:
    for name, value in running.credentials.items():
        monkeypatch.setenv(name, value)
    return running


def _runs(server: MlflowServer, run_key: str) -> dict[str, Run]:
    """All runs of a key by their step; fails where a step has two."""
    client = MlflowClient(server.uri, server.uri)
    experiment = client.get_experiment_by_name("levo")
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id], f"tags.`levo.run_key` = '{run_key}'")
    by_step = {run.data.tags["levo.step"]: client.get_run(run.info.run_id) for run in found}
    assert len(by_step) == len(found), "a step has two runs"
    return by_step


def _wait_for(told: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not told():
        assert time.monotonic() < deadline_s, f"it did not come within {limit_s} s"
        time.sleep(0.05)


def _model(letter: str, name: str = "levo-tiny-champion-line") -> ModelReference:
    return ModelReference(name, f"file:///store/models/{letter}", letter * 64)


def test_a_night_is_shown_whole(tmp_path: Path, server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)  # load_table asks there
    monkeypatch.setenv(ENABLED, "true")
    report, song = tmp_path / "report.html", tmp_path / "song.mp3"
    report.write_text("<p>songs</p>")
    song.write_bytes(b"ID3" + bytes(range(256)))
    tracker = MlflowTracker(server.uri, tmp_path / "tracking.jsonl")
    night = tracker.run("night", "2026-11-26")
    with system_metrics(night):
        night.log_artifact(report)
        night.log_artifact(song, "songs")
        night.log_table("candidates", {"song": ["one", "two"], "error_rate": [0.25, None]})
        night.log_table("candidates", {"song": ["one", "two"], "error_rate": [0.25, 0.5]})
        train = tracker.step("night", "align")
        train.log_metrics({"loss": 1.5}, step=3)
        train.log_dataset(DatasetReference("pairs", "cd" * 32, "file:///store/pairs", 900), "training")
        train.log_model(_model("a", "lelm"), CANDIDATE)
        train.finish()
        tracker.step("night", "align/lyric").log_metrics({"loss": 2.5}, step=1)
        tracker.step("night", "sample").log_model_input(_model("a", "lelm"))
    night.finish()
    assert tracker.close() == 0
    assert not (tmp_path / "tracking.jsonl.refused").exists()

    runs, client = _runs(server, "night"), MlflowClient(server.uri, server.uri)
    parent, align = runs["(parent)"], runs["align"]
    assert {name: runs[name].data.tags["mlflow.parentRunId"] for name in ("align", "align/lyric", "sample")} == {
        "align": parent.info.run_id,
        "align/lyric": align.info.run_id,
        "sample": parent.info.run_id,
    }
    (used,) = align.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("pairs", ("cd" * 32)[:36])
    assert {tag.key: tag.value for tag in used.tags}["levo.sha256"] == "cd" * 32
    assert [one.model_id for one in align.outputs.model_outputs] == [
        one.model_id for one in runs["sample"].inputs.model_inputs
    ]
    assert client.get_model_version_by_alias("lelm", CANDIDATE).tags["levo.uri"] == _model("a").uri
    table = client.load_table(str(parent.info.experiment_id), "candidates.json", [str(parent.info.run_id)])
    assert table.to_dict("list") == {"song": ["one", "two"], "error_rate": [0.25, 0.5]}
    kept = tmp_path / "kept"
    kept.mkdir()
    assert Path(client.download_artifacts(parent.info.run_id, "songs/song.mp3", str(kept))).read_bytes() == (
        song.read_bytes()
    )
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {
        "report.html",
        "songs",
        "candidates.json",
    }
    told = {name for name in parent.data.metrics if name.startswith("system/")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= told


def test_aliases_move_in_order_and_what_is_delivered_late_or_twice_moves_nothing_back(
    tmp_path: Path, server: MlflowServer
) -> None:
    name = _model("a").name
    assert champion_of(server.uri, name) is None
    tracker = MlflowTracker(server.uri, tmp_path / "first.jsonl")
    night = tracker.run("aliases", "nights")
    for letter in "ab":
        night.log_model(_model(letter), CANDIDATE)
    night.log_aliases(name, {PREVIOUS: None, CHAMPION: "a" * 64}, decision=1)
    night.log_aliases(name, {PREVIOUS: "a" * 64, CHAMPION: "b" * 64, CANDIDATE: None}, decision=2)
    assert tracker.close() == 0
    named = [aliased_model(server.uri, name, alias) for alias in (CHAMPION, PREVIOUS, CANDIDATE)]
    assert named == [_model("b"), _model("a"), None]

    rollback = MlflowTracker(server.uri, tmp_path / "second.jsonl")
    rollback.run("aliases", "nights").log_aliases(name, {CHAMPION: "a" * 64, PREVIOUS: "b" * 64}, decision=3)
    assert rollback.close() == 0
    (tmp_path / "first.jsonl.cursor").unlink()  # all of it is delivered again, after the rollback
    replay = MlflowTracker(server.uri, tmp_path / "first.jsonl")
    assert replay.close() == 0
    assert [champion_of(server.uri, name), aliased_model(server.uri, name, PREVIOUS)] == [_model("a"), _model("b")]
    client = MlflowClient(server.uri, server.uri)
    assert len(client.search_model_versions(f"name = '{name}'")) == 2
    assert not (tmp_path / "first.jsonl.refused").exists()


def test_an_alias_of_a_model_that_nobody_registered_moves_nothing(tmp_path: Path, server: MlflowServer) -> None:
    tracker = MlflowTracker(server.uri, tmp_path / "tracking.jsonl")
    night = tracker.run("unknown", "night")
    night.log_model(_model("a", "known"))
    night.log_aliases("known", {CHAMPION: "a" * 64, PREVIOUS: "c" * 64}, decision=1)
    assert tracker.close() == 0
    assert "model known with SHA-256 cccc" in (tmp_path / "tracking.jsonl.refused").read_text()
    assert champion_of(server.uri, "known") is None


def test_a_wrong_password_is_said_once_and_the_events_wait(
    tmp_path: Path, server: MlflowServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-the-password")
    with caplog.at_level(logging.WARNING):
        tracker = MlflowTracker(server.uri, tmp_path / "tracking.jsonl", retry_after_s=0.01)
        for step in range(3):
            tracker.run("wrong", "night").log_metrics({"loss": 1.0}, step=step + 1)
            time.sleep(0.2)
        assert tracker.close() == 6
    (said,) = caplog.records
    assert said.levelname == "ERROR"
    assert f"does not let in the user '{USER}' with this password" in said.getMessage()
    assert "not-the-password" not in caplog.text
    with pytest.raises(SinkForbiddenError, match="MLFLOW_TRACKING_PASSWORD"):
        champion_of(server.uri, "lelm")

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
    assert MlflowTracker(server.uri, tmp_path / "tracking.jsonl").close() == 0
    assert len(_runs(server, "wrong")) == 1


def test_a_server_that_is_killed_stops_nothing_and_gets_all_of_it_once(tmp_path: Path, server: MlflowServer) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>songs</p>")
    tracker = MlflowTracker(server.uri, tmp_path / "tracking.jsonl", retry_after_s=0.2)
    step = tracker.step("killed", "align")
    for at in range(1, 31):
        step.log_metrics({"loss": float(at)}, step=at)
        if at == 15:
            _wait_for(lambda: "align" in _runs(server, "killed"))
            server.kill()
    step.log_artifact(report)
    step.log_model(_model("d", "killed-line"))
    step.log_aliases("killed-line", {CHAMPION: "d" * 64}, decision=1)
    step.finish()
    with pytest.raises(SinkUnavailableError):
        champion_of(server.uri, "killed-line")
    server.start()
    assert tracker.close() == 0

    client, runs = MlflowClient(server.uri, server.uri), _runs(server, "killed")
    history = client.get_metric_history(runs["align"].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(at, float(at)) for at in range(1, 31)]
    assert [file.path for file in client.list_artifacts(runs["align"].info.run_id)] == ["report.html"]
    assert len(runs["align"].outputs.model_outputs) == 1
    assert len(client.search_model_versions("name = 'killed-line'")) == 1
    assert champion_of(server.uri, "killed-line") == _model("d", "killed-line")
    assert runs["align"].info.status == "FINISHED"


@pytest.mark.parametrize("path", ["/api/2.0/mlflow/experiments/search?max_results=5", "/ajax-api/3.0/jobs/search"])
def test_a_caller_without_a_name_gets_nothing(server: MlflowServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(server.uri + path)
    assert refused.value.code == 401


def test_the_server_has_nothing_that_runs_jobs(server: MlflowServer) -> None:
    assert "uvicorn" in " ".join(server.commands())
    assert [command for command in server.commands() if "jobs" in command or "huey" in command] == []


def test_where_no_server_answers_the_question_is_refused_with_the_address() -> None:
    address = f"http://somebody:secret-word@127.0.0.1:{free_port()}"
    with pytest.raises(SinkUnavailableError, match=r"MLflow at http://\*\*\*@127\.0\.0\.1") as refused:
        champion_of(address, "lelm")
    assert "secret-word" not in str(refused.value)
