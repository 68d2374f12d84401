"""The whole loop on the tiny recipe: every component in its place, and a second run that has nothing left to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.summary import MODEL_ROWS, read_summary

pytestmark = pytest.mark.ray


def run_demo(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs", "demo", "--recipe", "tiny", "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("loop") / "run"
    done = run_demo(out, "--tracking-uri", "none")
    assert done.returncode == 0, done.stderr[-4000:]
    return out


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


def test_the_report_needs_no_other_file(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "data:audio/mpeg;base64," in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_a_second_run_skips_every_step_and_prints_the_same_table(finished: Path) -> None:
    before = read_summary(finished / "summary.json")
    again = run_demo(finished, "--tracking-uri", "none")
    assert again.returncode == 0, again.stderr[-4000:]
    after = read_summary(finished / "summary.json")
    assert all(step.skipped for step in after.steps)
    assert after.models == before.models


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
