"""One test body for both trackers: what is logged is found again, under the same run, however often it is resumed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from jobs.tracking.aliases import champion_of
from jobs.tracking.delivery import SinkUnavailableError
from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.jsonl_tracker import JsonLinesTracker, read_events
from jobs.tracking.mlflow_sink import MlflowSink
from jobs.tracking.mlflow_tracker import MlflowTracker, open_tracker, store_uri
from jobs.tracking.protocol import DatasetReference, ModelReference, RunStatus, Tracker

# In one process where tests are spread over several: they share a store that takes seconds to make.
pytestmark = pytest.mark.xdist_group("mlflow")

_KEY = "0123abcd" * 8
_MODEL = ModelReference("lelm", "file:///models/base", "ab" * 32)


@dataclass
class Recorded:
    """A run as a tracker's own storage shows it."""

    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[tuple[str, str]] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    status: str = ""


Opener = Callable[[Path], Tracker]
Reader = Callable[[Path, str], Recorded]


def _open_json_lines(folder: Path) -> Tracker:
    return JsonLinesTracker(folder / "tracking.jsonl")


def _open_mlflow(folder: Path) -> Tracker:
    return open_tracker(folder)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables and nothing in them: making the tables takes most of a tracker's start."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(store_uri(folder), store_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture(autouse=True)
def store_with_tables(empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path)


def _read_json_lines(folder: Path, step: str) -> Recorded:
    recorded = Recorded()
    for event, _ in read_events(folder / "tracking.jsonl"):
        if event is None or event.step != step:
            continue
        content = event.content
        match event.kind:
            case EventKind.PARAMETERS:
                recorded.parameters |= content
            case EventKind.METRICS:
                for name, value in content["values"].items():
                    recorded.metrics.setdefault(name, []).append((content["at"], value))
            case EventKind.TAGS:
                recorded.tags |= content
            case EventKind.DATASET:
                recorded.datasets.append((content["name"], content["context"]))
            case EventKind.ARTIFACT:
                recorded.artifacts.append(f"{content['folder']}/{Path(content['file']).name}")
            case EventKind.MODEL:
                recorded.models.append(content["sha256"])
            case EventKind.MODEL_INPUT:
                recorded.used.append(content["sha256"])
            case EventKind.FINISH:
                recorded.status = content["status"]
            case EventKind.BEGIN if recorded.status != "FINISHED":
                recorded.status = "RUNNING"
            case _:
                continue
    return recorded


def _read_mlflow(folder: Path, step: str) -> Recorded:
    client = MlflowClient(store_uri(folder), store_uri(folder))
    experiment = client.get_experiment_by_name("levo")
    runs = client.search_runs([experiment.experiment_id], f"tags.`levo.step` = '{step or '(parent)'}'")
    assert len(runs) == 1, f"{len(runs)} runs of step {step!r}"
    (run,) = runs
    metrics = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    datasets = [
        (entry.dataset.name, next(tag.value for tag in entry.tags if tag.key == "mlflow.data.context"))
        for entry in run.inputs.dataset_inputs
    ]
    listed = client.list_artifacts(run.info.run_id, "report")
    models = [version.tags["levo.sha256"] for version in client.search_model_versions(f"run_id = '{run.info.run_id}'")]
    inputs = client.get_run(run.info.run_id).inputs.model_inputs  # a search leaves them out
    used = [client.get_logged_model(model.model_id).tags["levo.sha256"] for model in inputs]
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith(("mlflow.", "levo."))}
    return Recorded(
        run.data.params, metrics, tags, datasets, [file.path for file in listed], models, used, str(run.info.status)
    )


_TRACKERS = pytest.mark.parametrize(
    ("open_it", "read"),
    [(_open_json_lines, _read_json_lines), (_open_mlflow, _read_mlflow)],
    ids=["json-lines", "mlflow"],
)


@_TRACKERS
def test_what_is_logged_is_found_again(tmp_path: Path, open_it: Opener, read: Reader) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>songs</p>")
    tracker = open_it(tmp_path)
    parent = tracker.run(_KEY, "demo")
    parent.log_parameters({"recipe": "demo", "seed": 0, "guidance": 1.5, "resumed": False})
    parent.log_artifact(report, "report")
    child = tracker.step(_KEY, "pretrain")
    child.log_metrics({"loss": 3.5, "accuracy": 0.25}, step=1)
    child.log_metrics({"loss": 2.5}, step=2)
    child.log_dataset(DatasetReference("corpus", "cd" * 32, "file:///corpus", 900), "training")
    child.log_tags({"phase": "language model"})
    child.log_model(_MODEL, "candidate")
    child.finish()
    tracker.step(_KEY, "sample").log_model_input(_MODEL)
    parent.finish(RunStatus.FAILED)
    assert tracker.close() == 0

    seen_parent, seen_child = read(tmp_path, ""), read(tmp_path, "pretrain")
    assert seen_parent.parameters == {"recipe": "demo", "seed": "0", "guidance": "1.5", "resumed": "False"}
    assert seen_parent.artifacts == ["report/report.html"]
    assert seen_parent.status == "FAILED"
    assert seen_child.metrics == {"loss": [(1, 3.5), (2, 2.5)], "accuracy": [(1, 0.25)]}
    assert seen_child.datasets == [("corpus", "training")]
    assert seen_child.tags == {"phase": "language model"}
    assert seen_child.models == [_MODEL.sha256]
    assert seen_child.status == "FINISHED"
    assert read(tmp_path, "sample").used == [_MODEL.sha256]


@_TRACKERS
def test_a_run_that_tells_everything_again_has_it_once(tmp_path: Path, open_it: Opener, read: Reader) -> None:
    for _ in range(2):
        tracker = open_it(tmp_path)
        child = tracker.step(_KEY, "pretrain")
        child.log_parameters({"seed": 0})
        for step in (1, 2):
            child.log_metrics({"loss": 3.5 - step}, step=step)
        child.log_metrics({"wall_s": 7.0})
        child.log_dataset(DatasetReference("corpus", "cd" * 32, "file:///corpus", 900), "training")
        child.log_model(_MODEL, "candidate")
        tracker.step(_KEY, "sample").log_model_input(_MODEL)
        child.finish()
        assert tracker.close() == 0
    seen = read(tmp_path, "pretrain")
    assert seen.metrics == {"loss": [(1, 2.5), (2, 1.5)], "wall_s": [(0, 7.0)]}
    assert (seen.datasets, seen.models, seen.status) == ([("corpus", "training")], [_MODEL.sha256], "FINISHED")
    assert read(tmp_path, "sample").used == [_MODEL.sha256]


@_TRACKERS
def test_a_resumed_run_continues_the_run_it_began(tmp_path: Path, open_it: Opener, read: Reader) -> None:
    for attempt in range(3):
        tracker = open_it(tmp_path)
        tracker.run(_KEY, "demo").log_metrics({"attempt": attempt}, step=attempt)
        tracker.step(_KEY, "pretrain").log_metrics({"loss": 3.0 - attempt}, step=attempt)
        assert tracker.close() == 0
    assert read(tmp_path, "").metrics == {"attempt": [(0, 0.0), (1, 1.0), (2, 2.0)]}
    assert read(tmp_path, "pretrain").metrics == {"loss": [(0, 3.0), (1, 2.0), (2, 1.0)]}


@_TRACKERS
def test_a_finished_step_that_is_skipped_stays_finished_and_a_failed_one_runs_again(
    tmp_path: Path, open_it: Opener, read: Reader
) -> None:
    first = open_it(tmp_path)
    first.step(_KEY, "render").finish()
    first.step(_KEY, "pretrain").finish(RunStatus.FAILED)
    assert first.close() == 0
    second = open_it(tmp_path)
    second.step(_KEY, "render")
    second.step(_KEY, "pretrain")
    assert second.close() == 0
    assert [read(tmp_path, step).status for step in ("render", "pretrain")] == ["FINISHED", "RUNNING"]


def test_an_artifact_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    run = JsonLinesTracker(tmp_path / "tracking.jsonl").run(_KEY, "demo")
    with pytest.raises(FileNotFoundError, match=r"gone\.html"):
        run.log_artifact(tmp_path / "gone.html")


def test_a_child_hangs_under_its_parent_and_a_model_is_registered_once(tmp_path: Path) -> None:
    for _ in range(2):
        tracker = open_tracker(tmp_path)
        tracker.step(_KEY, "pretrain").log_model(_MODEL, "champion")
        assert tracker.close() == 0
    client = MlflowClient(store_uri(tmp_path), store_uri(tmp_path))
    runs = client.search_runs([client.get_experiment_by_name("levo").experiment_id])
    by_step = {run.data.tags["levo.step"]: run for run in runs}
    assert by_step["pretrain"].data.tags["mlflow.parentRunId"] == by_step["(parent)"].info.run_id
    (version,) = client.search_model_versions("name = 'lelm'")
    assert client.get_model_version_by_alias("lelm", "champion").version == version.version
    assert version.tags["levo.uri"] == _MODEL.uri


def test_a_part_of_a_step_hangs_under_the_step(tmp_path: Path) -> None:
    tracker = open_tracker(tmp_path)
    tracker.step(_KEY, "train/extend").log_metrics({"loss": 1.0}, step=10)
    assert tracker.close() == 0
    client = MlflowClient(store_uri(tmp_path), store_uri(tmp_path))
    runs = client.search_runs([client.get_experiment_by_name("levo").experiment_id])
    by_step = {run.data.tags["levo.step"]: run for run in runs}
    assert by_step["train/extend"].data.tags["mlflow.parentRunId"] == by_step["train"].info.run_id
    assert by_step["train"].data.tags["mlflow.parentRunId"] == by_step["(parent)"].info.run_id


def test_an_event_whose_answer_was_lost_may_be_applied_again(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>songs</p>")
    spool = JsonLinesTracker(tmp_path / "told.jsonl")
    night = spool.run(_KEY, "night")
    night.log_parameters({"seed": 0})
    night.log_metrics({"loss": 1.5}, step=3)
    night.log_dataset(DatasetReference("pairs", "cd" * 32, "file:///pairs", 900), "training")
    night.log_table("candidates", {"song": ["one", "two"], "error_rate": [0.25, None]})
    night.log_artifact(report, "report")
    night.log_model(_MODEL)
    night.log_aliases("lelm", {"previous": None, "champion": _MODEL.sha256}, decision=1)
    night.log_model_input(_MODEL)
    night.finish()
    sink = MlflowSink(store_uri(tmp_path), "levo", (tmp_path / "kept").as_uri())
    for event, _ in read_events(tmp_path / "told.jsonl"):
        assert event is not None
        for _ in range(2):
            sink.apply(event)

    seen, client = _read_mlflow(tmp_path, ""), MlflowClient(store_uri(tmp_path), store_uri(tmp_path))
    assert (seen.metrics, seen.parameters) == ({"loss": [(3, 1.5)]}, {"seed": "0"})
    assert (seen.models, seen.used, seen.artifacts) == ([_MODEL.sha256], [_MODEL.sha256], ["report/report.html"])
    assert seen.datasets == [("pairs", "training")]
    (experiment,) = [one.experiment_id for one in client.search_experiments() if one.name == "levo"]
    assert len(client.search_logged_models([experiment])) == 1
    (table,) = (tmp_path / "kept").rglob("candidates.json")
    assert json.loads(table.read_text()) == {"columns": ["song", "error_rate"], "data": [["one", 0.25], ["two", None]]}
    assert champion_of(store_uri(tmp_path), "lelm") == _MODEL


def test_a_version_that_was_broken_off_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise MlflowException("gone")

    event = TrackingEvent(EventKind.MODEL, _KEY, "align", 1, {**asdict(_MODEL), "alias": None})
    sink = MlflowSink(store_uri(tmp_path), "levo", None)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "create_model_version", die)
        with pytest.raises(SinkUnavailableError):
            sink.apply(event)
    sink.apply(event)
    client = MlflowClient(store_uri(tmp_path), store_uri(tmp_path))
    (experiment,) = [one.experiment_id for one in client.search_experiments() if one.name == "levo"]
    assert len(client.search_logged_models([experiment])) == 1
    assert len(client.search_model_versions("name = 'lelm'")) == 1


def test_a_table_of_unequal_columns_is_refused_at_once(tmp_path: Path) -> None:
    run = JsonLinesTracker(tmp_path / "tracking.jsonl").run(_KEY, "demo")
    with pytest.raises(ValueError, match=r"columns of \{'song': 2, 'score': 1\}"):
        run.log_table("candidates", {"song": ["one", "two"], "score": [1.0]})


def test_names_that_mlflow_does_not_take_are_changed_and_nothing_is_refused(tmp_path: Path) -> None:
    tracker = open_tracker(tmp_path)
    run = tracker.run(_KEY, "demo")
    run.log_metrics({"examples.studio+wild": 2.0, "missing.the scorer's noise": 1.0, "a//b/": 3.0, "x" * 300: 4.0})
    run.log_parameters({"phases.50%": 1, "../up": 2})
    run.log_tags({"git_commit": "abc"})
    assert tracker.close() == 0
    seen = _read_mlflow(tmp_path, "")
    assert seen.metrics == {
        "examples.studio_wild": [(0, 2.0)],
        "missing.the scorer_s noise": [(0, 1.0)],
        "a/b": [(0, 3.0)],
        "x" * 250: [(0, 4.0)],
    }
    assert seen.parameters == {"phases.50_": "1", "__/up": "2"}
    assert not (tmp_path / "tracking.jsonl.refused").exists()
    client = MlflowClient(store_uri(tmp_path), store_uri(tmp_path))
    (parent,) = client.search_runs([client.get_experiment_by_name("levo").experiment_id])
    assert parent.data.tags["mlflow.source.git.commit"] == "abc"


def test_a_model_that_nobody_registered_is_no_input(tmp_path: Path) -> None:
    tracker = open_tracker(tmp_path)
    tracker.step(_KEY, "sample").log_model_input(_MODEL)
    assert tracker.close() == 0
    assert "is not registered" in (tmp_path / "tracking.jsonl.refused").read_text()


def test_a_file_that_cannot_be_written_costs_the_event_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = JsonLinesTracker(tmp_path / "run" / "tracking.jsonl")
    shutil.rmtree(tmp_path / "run")
    tracker.run(_KEY, "demo").log_metrics({"loss": 1.0})
    assert "a tracking event is lost" in caplog.text


def test_a_dead_server_stops_nothing_and_gets_its_events_later(tmp_path: Path) -> None:
    spool = tmp_path / "tracking.jsonl"
    # Nothing listens on port 9 of the loopback.
    dead = MlflowTracker("http://127.0.0.1:9", spool, retry_after_s=60)
    dead.run(_KEY, "demo").log_parameters({"seed": 0})
    dead.step(_KEY, "pretrain").log_metrics({"loss": 1.5}, step=7)
    assert dead.close() == 4

    (tmp_path / "mlflow.db").unlink()  # this store is made from nothing, as a first run's is
    revived = open_tracker(tmp_path)
    assert revived.close() == 0
    assert _read_mlflow(tmp_path, "pretrain").metrics == {"loss": [(7, 1.5)]}
