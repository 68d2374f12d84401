"""What the tracker is told of a run: everything once, whatever was interrupted, and nothing that could stop the run."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from rich.console import Console

from jobs.loop_run import LoopRun, LoopStep, OpenedLoop, StepTools, open_loop
from jobs.progress import RunProgress
from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.jsonl_tracker import read_events
from jobs.tracking.mlflow_tracker import store_uri
from levo.training.loop import LoggedStep
from pipelines.flow.resources import ResourceMonitor

if TYPE_CHECKING:
    from tests.jobs.conftest import FinishedRun

# In one process with the other tests that make an MLflow store.
pytestmark = pytest.mark.xdist_group("mlflow")


def opened(run: "FinishedRun", tracking_uri: str | None = "none") -> OpenedLoop:
    config = run.context.config
    return open_loop(config.recipe, config.seed, run.context.places.folder, tracking_uri)


def steps_of(run: "FinishedRun", acts: dict[str, Callable[[StepTools], None]] | None = None) -> tuple[LoopStep, ...]:
    """Steps that return what the finished run's did; some first do what a test asks of them."""

    def step(name: str) -> LoopStep:
        def act(tools: StepTools) -> dict[str, Any]:
            if acts and name in acts:
                acts[name](tools)
            return run.results[name]

        return LoopStep(name, name, act)

    return tuple(step(name) for name in run.results)


def do(loop: OpenedLoop, steps: tuple[LoopStep, ...]) -> None:
    run = LoopRun(loop.context, loop.folder, loop.tracker, RunProgress(len(steps), Console(quiet=True)))
    with loop.tracked(), ResourceMonitor() as monitor:
        run.run(steps, monitor)
    assert loop.tracker.close() == 0


def events(folder: Path) -> list[TrackingEvent]:
    return [event for event, _ in read_events(folder / "tracking.jsonl") if event is not None]


def said(folder: Path, *left_out: EventKind) -> list[str]:
    """What was said in all, without when."""
    kinds = set(EventKind) - set(left_out)
    return sorted(f"{one.step} {one.kind} {sorted(one.content.items())}" for one in events(folder) if one.kind in kinds)


def live_curve(*phases: str) -> Callable[[StepTools], None]:
    """The first interval of each phase, as it comes while training runs; the journal has it at another speed."""

    def act(tools: StepTools) -> None:
        for phase in phases:
            tools.log_curve(phase, LoggedStep(10, 20, {"loss": 0.2}, {"mfu": 0.9}))

    return act


def test_mlflow_shows_a_whole_run(finished_run: "FinishedRun") -> None:
    folder = finished_run.context.places.folder
    names = [phase.name for phase in finished_run.context.config.training.phases]
    do(opened(finished_run, None), steps_of(finished_run, {"train": live_curve(*names)}))
    assert not (folder / "tracking.jsonl.refused").exists()

    client = MlflowClient(store_uri(folder), store_uri(folder))
    found = client.search_runs([client.get_experiment_by_name("levo").experiment_id], max_results=1000)
    runs: dict[str, Run] = {run.data.tags["levo.step"]: client.get_run(run.info.run_id) for run in found}
    parts = {"train": names, "align": ["lyric", "prompt", "musicality", "mixed"]}
    phases = {f"{step}/{name}": step for step, listed in parts.items() for name in listed}
    assert runs.keys() == {"(parent)", *finished_run.results, *phases}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for step, run in runs.items():
        above = phases.get(step, None if step == "(parent)" else "(parent)")
        assert run.data.tags.get("mlflow.parentRunId") == (None if above is None else runs[above].info.run_id)

    parent = runs["(parent)"].data
    assert parent.params["training.phases.extend.steps"] == "10"
    assert parent.params["alignment.beta"] == "0.1"
    assert parent.tags["version.torch"].split(".")[0].isdigit()
    for name, number in finished_run.results["initial"]["examples"].items():
        assert runs["initial"].data.metrics[f"examples.{name.replace('+', '_')}"] == number

    extend, data = runs["train/extend"], finished_run.context.config.training.phases[-1].collections
    curve = client.get_metric_history(extend.info.run_id, "mfu")
    assert [(point.step, point.value) for point in curve] == [(10, 0.9), (20, 0.5)]
    assert extend.data.tags["checkpoint_sha256"] == finished_run.digest_of("extend")
    assert [used.dataset.name for used in extend.inputs.dataset_inputs] == [f"examples/{'+'.join(data)}"]
    assert extend.inputs.dataset_inputs[0].dataset.profile.startswith('{"num_rows": ')

    versions = client.search_model_versions()
    digests = {version.tags["levo.sha256"]: version for version in versions}
    assert len(versions) == len(digests) == 16
    lyric = digests[finished_run.digest_of("lyric")]
    assert (lyric.name, lyric.run_id) == ("levo-tiny-lyric", runs["align/lyric"].info.run_id)
    candidate = client.get_model_version_by_alias("levo-tiny-interpolated", "candidate")
    assert candidate.tags["levo.uri"] == (folder / "lelm" / "interpolated").as_uri()
    (sampled_by,) = runs["sample"].inputs.model_inputs
    base = client.get_logged_model(sampled_by.model_id)
    assert (base.name, base.source_run_id) == ("levo-tiny-base", runs["train"].info.run_id)
    assert base.tags["mlflow.modelVersions"] == '[{"name": "levo-tiny-base", "version": "1"}]'


def test_a_run_that_has_nothing_left_to_do_says_nothing_new(finished_run: "FinishedRun") -> None:
    folder = finished_run.context.places.folder
    do(opened(finished_run), steps_of(finished_run, {"train": live_curve("extend")}))
    before = said(folder, EventKind.BEGIN)
    do(opened(finished_run), steps_of(finished_run))
    assert said(folder, EventKind.BEGIN) == before
    assert len(before) == len(set(before))


def test_what_a_crash_lost_is_told_by_the_next_run(finished_run: "FinishedRun") -> None:
    folder = finished_run.context.places.folder
    do(opened(finished_run), steps_of(finished_run))
    whole = said(folder, EventKind.BEGIN, EventKind.TAGS)
    lines = (folder / "tracking.jsonl").read_text().splitlines(keepends=True)
    for kept in (0, len(lines) // 3, len(lines) - 5):
        (folder / "tracking.jsonl").write_text("".join(lines[:kept]))
        do(opened(finished_run), steps_of(finished_run))
        assert said(folder, EventKind.BEGIN, EventKind.TAGS) == whole


def test_a_step_that_is_done_again_is_told_again(finished_run: "FinishedRun") -> None:
    folder = finished_run.context.places.folder
    do(opened(finished_run), steps_of(finished_run))
    num_ends = len([event for event in events(folder) if event.kind is EventKind.FINISH])
    (folder / "steps" / "choose.json").unlink()
    finished_run.results["choose"]["digest"] = finished_run.digest_of("another")
    do(opened(finished_run), steps_of(finished_run))
    models = [event.content for event in events(folder) if event.kind is EventKind.MODEL and event.step == "choose"]
    assert [(model["sha256"], model["alias"]) for model in models] == [
        (finished_run.digest_of(name), "candidate") for name in ("interpolated", "another")
    ]
    ends = [event.step for event in events(folder) if event.kind is EventKind.FINISH][num_ends:]
    assert ends == ["choose", ""]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_broken_run_ends_so_with_its_step_and_the_phase_under_way(
    finished_run: "FinishedRun", error: BaseException, status: str
) -> None:
    def break_off(tools: StepTools) -> None:
        live_curve("pretrain", "extend")(tools)
        raise error

    with pytest.raises(type(error)):
        do(opened(finished_run), steps_of(finished_run, {"train": break_off}))
    folder = finished_run.context.places.folder
    ends = {event.step: event.content["status"] for event in events(folder) if event.kind is EventKind.FINISH}
    assert {name: ends[name] for name in ("initial", "train/pretrain", "train/extend", "train", "")} == {
        "initial": "FINISHED",
        "train/pretrain": "FINISHED",
        "train/extend": status,
        "train": status,
        "": status,
    }
    do(opened(finished_run), steps_of(finished_run))
    ends = {event.step: event.content["status"] for event in events(folder) if event.kind is EventKind.FINISH}
    assert set(ends.values()) == {"FINISHED"}


def test_a_phase_ends_when_the_next_begins(finished_run: "FinishedRun") -> None:
    do(opened(finished_run), steps_of(finished_run, {"train": live_curve("pretrain", "extend")}))
    order = [(event.step, event.kind) for event in events(finished_run.context.places.folder)]
    assert order.index(("train/pretrain", EventKind.FINISH)) < order.index(("train/extend", EventKind.BEGIN))
    assert order.count(("train/pretrain", EventKind.FINISH)) == 1


def test_lineage_that_cannot_be_read_costs_a_warning(
    finished_run: "FinishedRun", caplog: pytest.LogCaptureFixture
) -> None:
    places = finished_run.context.places
    (places.prompts / "CURRENT").unlink()
    (places.training / "base" / "extend" / "result.json").write_text("{")
    del finished_run.results["choose"]["digest"]
    with caplog.at_level(logging.WARNING):
        do(opened(finished_run), steps_of(finished_run))
    assert "step prompts is not tracked in full" in caplog.text
    assert "phase extend is not tracked in full" in caplog.text
    assert "step choose is not tracked in full: KeyError: 'digest'" in caplog.text
    ends = [event.step for event in events(places.folder) if event.kind is EventKind.FINISH]
    assert {*finished_run.results, ""} <= set(ends)
