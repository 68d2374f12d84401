"""The whole loop on the tiny recipe: every component in its place, and a second run that has nothing left to do."""

import base64
import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from jobs.recipes.loop import tiny
from jobs.summary import MODEL_ROWS, read_summary
from jobs.tracking.mlflow_tracker import store_uri
from levo.model.store import model_digest
from tests.end_to_end.demo_runs import run_demo

pytestmark = pytest.mark.ray


def mlflow_runs(out: Path) -> dict[str, Run]:
    """Every run of the store by its step, with its inputs and outputs."""
    client = MlflowClient(store_uri(out), store_uri(out))
    found = client.search_runs([client.get_experiment_by_name("levo").experiment_id], max_results=1000)
    runs = {run.data.tags["levo.step"]: client.get_run(run.info.run_id) for run in found}
    assert len(runs) == len(found)
    return runs


def datasets_of(run: Run) -> dict[str, tuple[str, str]]:
    """Context and digest of a run's datasets, by name."""
    return {
        entry.dataset.name: (
            next(tag.value for tag in entry.tags if tag.key == "mlflow.data.context"),
            entry.dataset.digest,
        )
        for entry in run.inputs.dataset_inputs
    }


def step_result(out: Path, name: str) -> dict[str, object]:
    result: dict[str, object] = json.loads((out / "steps" / f"{name}.json").read_text())["result"]
    return result


def test_every_model_has_every_metric_or_the_reason_why_not(finished: Path) -> None:
    summary = read_summary(finished / "summary.json")
    assert tuple(summary.models) == MODEL_ROWS
    for measurements in summary.models.values():
        for name, measurement in measurements.items():
            assert (measurement.value is None) == (name == "frechet_audio_distance")


def test_extension_left_the_mixed_stream_as_it_was(finished: Path) -> None:
    assert step_result(finished, "train")["mixed_logits_identical"] is True


def test_every_aligned_model_differs_from_the_base(finished: Path) -> None:
    base = step_result(finished, "train")["digest"]
    phases = step_result(finished, "align")["phases"]
    assert isinstance(phases, list)
    assert [phase["name"] for phase in phases] == ["lyric", "prompt", "musicality", "mixed"]
    assert base not in [phase["digest"] for phase in phases]


def test_the_audio_prompt_was_tried_in_both_arms_and_the_report_says_so(finished: Path) -> None:
    trial = read_summary(finished / "summary.json").audio_prompt
    assert trial["right"].difference is not None
    assert trial["right"].value is not None
    assert trial["wrong"].value is not None
    assert trial["right"].difference.value == pytest.approx(trial["right"].value - trial["wrong"].value)
    assert "The audio prompt alone" in (finished / "report.html").read_text()


@pytest.mark.slow
def test_the_stages_are_ablated_after_the_loop_and_not_done_twice(finished: Path) -> None:
    command = [sys.executable, "-m", "jobs", "evaluate", "--recipe", "tiny", "--run", str(finished)]
    options = ["--ablation", "stages", "--tracking-uri", "none"]
    for is_again in (False, True):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=1500)
        assert done.returncode == 0, done.stderr[-4000:]
        for row in ("w/o stage 2", "w/o AR decoder", "w/o dual-track"):
            assert f"{row}: worse than the full model: " in done.stdout
        record = json.loads((finished / "ablation-stages.json").read_text())
        assert [step["skipped"] for step in record["steps"]] == [is_again] * 3
        assert set(record["trained"]["num_steps"].values()) == {record["trained"]["num_steps"]["base"]}


@pytest.mark.slow
def test_a_longer_search_for_the_mixture_goes_on_from_the_runs_own(finished: Path, tmp_path: Path) -> None:
    before = model_digest(finished / "lelm" / "interpolated")
    out = tmp_path / "mixture"
    command = [sys.executable, "-m", "jobs", "merge", "--recipe", "tiny", "--run", str(finished), "--out", str(out)]
    options = ["--search", "3", "--improve", "musicality", "--limits", "phoneme_error_rate<=9"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    record = json.loads((finished / "search.json").read_text())
    assert len({tuple(trial["coefficients"]) for trial in record["trials"]}) == 3
    best = max(record["trials"], key=lambda trial: trial["metrics"]["musicality"])
    assert record["best"] == best["coefficients"]
    assert model_digest(out) in done.stdout
    assert model_digest(finished / "lelm" / "interpolated") == before


def test_the_report_needs_no_other_file(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "data:audio/mpeg;base64," in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_mlflow_has_a_run_for_every_step_and_phase_and_refused_nothing(finished: Path) -> None:
    runs = mlflow_runs(finished)
    steps = {step.name for step in read_summary(finished / "summary.json").steps}
    phases = {f"train/{phase.name}" for phase in tiny().training.phases}
    phases |= {f"align/{name}" for name in ("lyric", "prompt", "musicality", "mixed")}
    assert runs.keys() == {"(parent)", *steps, *phases}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert not (finished / "tracking.jsonl.refused").exists()
    parent = runs["(parent)"].data
    assert parent.params["recipe"] == "tiny"
    assert parent.params["training.phases.extend.steps"] == "10"
    interpolated = read_summary(finished / "summary.json").models["interpolated"]["phoneme_error_rate"]
    assert parent.metrics["interpolated/phoneme_error_rate"] == interpolated.value
    assert parent.metrics["peak_memory_bytes"] > 0


def test_every_training_phase_has_its_curves_and_its_checkpoint_in_mlflow(finished: Path) -> None:
    for step, run in mlflow_runs(finished).items():
        if "/" not in step:
            continue
        curves = {"loss", "tokens_per_s", "mfu", "learning_rate"}
        if step.startswith("align/"):
            curves |= {"margin", "preference_accuracy"}
        else:
            streams = ("vocal", "accompaniment") if step.endswith("extend") else ("mixed",)
            curves |= {f"{kind}/{stream}" for kind in ("loss", "accuracy") for stream in streams}
        assert curves <= run.data.metrics.keys(), step
        folder = Path(run.data.tags["checkpoint_uri"].removeprefix("file://"))
        assert model_digest(folder) == run.data.tags["checkpoint_sha256"]
        ((context, _),) = datasets_of(run).values()
        assert context == "training"


def test_in_mlflow_what_a_step_reads_another_wrote(finished: Path) -> None:
    written: dict[str, str] = {}
    read: dict[str, str] = {}
    for run in mlflow_runs(finished).values():
        for name, (context, digest) in datasets_of(run).items():
            (written if context == "output" else read)[name] = digest
    # The sample is copied from the rendered songs before the flow sees it.
    assert read.pop("separation-sample")
    assert read.items() <= written.items()
    assert {"corpus", "prompts", "pairs/lyric", "candidates/pair-base", "scores/report-interpolated"} <= read.keys()


def test_mlflow_registers_every_model_by_where_it_lies_and_its_digest(finished: Path) -> None:
    client = MlflowClient(store_uri(finished), store_uri(finished))
    for name in ("base", "lyric", "prompt", "musicality", "mixed", "interpolated"):
        (version,) = client.search_model_versions(f"name = 'levo-tiny-{name}'")
        assert version.tags["levo.uri"] == (finished / "lelm" / name).as_uri()
        assert version.tags["levo.sha256"] == model_digest(finished / "lelm" / name)
    candidate = client.get_model_version_by_alias("levo-tiny-interpolated", "candidate")
    assert candidate.run_id == mlflow_runs(finished)["choose"].info.run_id
    registered = {model.name.removeprefix("levo-tiny-") for model in client.search_registered_models()}
    judges = {"recogniser", "similarity-judge", "musicality-judge", "tag-agreement-judge", "defects-judge"}
    assert judges | {"codec", "tagger", "tokenizer", "initial", "mixture"} <= registered


def test_a_second_run_skips_every_step_prints_the_same_table_and_logs_nothing_twice(finished: Path) -> None:
    before, runs_before = read_summary(finished / "summary.json"), mlflow_runs(finished)
    again = run_demo(finished)
    assert again.returncode == 0, again.stderr[-4000:]
    after, runs_after = read_summary(finished / "summary.json"), mlflow_runs(finished)
    assert all(step.skipped for step in after.steps)
    assert after.models == before.models
    client = MlflowClient(store_uri(finished), store_uri(finished))
    for step, run in runs_after.items():
        assert (run.data.params, run.data.metrics) == (runs_before[step].data.params, runs_before[step].data.metrics)
        assert datasets_of(run) == datasets_of(runs_before[step])
        assert len(run.inputs.model_inputs) == len(runs_before[step].inputs.model_inputs)
        assert run.info.end_time == runs_before[step].info.end_time
        for name in run.data.metrics:
            points = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert len(points) == len(set(points)), f"{step} has {name} twice"


def test_a_folder_of_another_seed_is_refused_in_one_line(finished: Path) -> None:
    refused = run_demo(finished, "--seed", "1", "--tracking-uri", "none")
    assert refused.returncode == 1
    assert "belongs to another run" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_step_that_was_lost_is_done_again_from_what_is_there(finished: Path) -> None:
    (finished / "steps" / "choose.json").unlink()
    again = run_demo(finished, "--tracking-uri", "none")
    assert again.returncode == 0, again.stderr[-4000:]
    redone = [step.name for step in read_summary(finished / "summary.json").steps if not step.skipped]
    assert redone == ["choose"]


def test_a_finished_runs_models_are_served_and_swapped(finished: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jobs", "serve", "--port", str(port)]
    order = json.dumps({"lyrics": "[verse] sun and moon.", "audio": "wav", "max_duration_s": 1}).encode()
    with subprocess.Popen([*command, "--run", str(finished)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert f"serving interpolated of {finished}" in server.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/songs", order, timeout=120) as answer:
                (song,) = json.load(answer)["songs"]
            swap = subprocess.run([*command, "--swap", "base"], capture_output=True, text=True, check=True, timeout=120)
        finally:
            server.terminate()
        assert server.wait(timeout=120) == 0
    assert song["model_digest"] == model_digest(finished / "lelm" / "interpolated")
    assert base64.b64decode(song["audio"]["base64"]).startswith(b"RIFF")
    assert swap.stdout.split() == ["base", model_digest(finished / "lelm" / "base")]
