"""summary.json: exactly the promised shape, read back equal, and refused with the place that breaks it."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs.audio_prompt import audio_prompt_line, audio_prompt_table
from jobs.summary import (
    MODEL_ROWS,
    Difference,
    Measurement,
    MetricFacts,
    StepCost,
    Summary,
    installed_versions,
    missing_measurement,
    read_summary,
    write_summary,
)
from jobs.summary_table import summary_tables

_FACTS = {
    "phoneme_error_rate": MetricFacts("lower", "errors per phoneme", "training"),
    "frechet_audio_distance": MetricFacts("higher", "distance", "held_out"),
}


def _summary() -> Summary:
    measured = Measurement(0.25, (0.2, 0.3), Difference(-0.05, (-0.08, -0.02)))
    models = {
        model: {"phoneme_error_rate": measured, "frechet_audio_distance": missing_measurement("no model")}
        for model in MODEL_ROWS
    }
    models["base"]["phoneme_error_rate"] = Measurement(0.3, (0.25, 0.35))
    steps = (StepCost("render", 12.5, 20.0, skipped=True), StepCost("train", 100.0, 190.0, skipped=False))
    trial = {
        "right": Measurement(0.5, (0.4, 0.6), Difference(0.8, (0.7, 0.9))),
        "wrong": Measurement(-0.3, (-0.4, -0.2)),
    }
    return Summary("demo", 3, {"torch": "2.13.0"}, steps, _FACTS, models, trial, 5 * 2**30)


def test_the_file_has_exactly_the_promised_fields(tmp_path: Path) -> None:
    write_summary(_summary(), tmp_path / "summary.json")
    written = json.loads((tmp_path / "summary.json").read_text())
    names = ["recipe", "seed", "versions", "steps", "metrics", "models", "audio_prompt", "peak_memory_bytes"]
    assert list(written) == names
    assert written["steps"][0] == {"name": "render", "wall_s": 12.5, "cpu_s": 20.0, "skipped": True}
    assert written["metrics"]["frechet_audio_distance"] == {"better": "higher", "unit": "distance", "judge": "held_out"}
    assert list(written["models"]) == ["control", "base", "lyric", "prompt", "musicality", "mixed", "interpolated"]
    assert written["models"]["lyric"]["phoneme_error_rate"] == {
        "value": 0.25,
        "interval": [0.2, 0.3],
        "difference": {"value": -0.05, "interval": [-0.08, -0.02]},
        "missing": None,
    }
    assert written["models"]["lyric"]["frechet_audio_distance"] == {
        "value": None,
        "interval": None,
        "difference": None,
        "missing": "no model",
    }


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    write_summary(_summary(), tmp_path / "summary.json")
    assert read_summary(tmp_path / "summary.json") == _summary()


def _break(path: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    def act(summary: dict[str, Any]) -> None:
        for key in path[:-1]:
            summary = summary[key]
        if value is None:
            del summary[path[-1]]
        else:
            summary[path[-1]] = value

    return act


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (_break(("seed",), "3"), r"Summary\.seed is '3'; expected a int"),
        (_break(("seed",), None), r"expected the fields"),
        (_break(("extra",), 1), r"expected the fields"),
        (_break(("steps", 1, "wall_s"), float("nan")), r"steps\[1\]\.wall_s is nan; expected a finite number"),
        (_break(("steps", 1, "wall_s"), -1.0), r"a negative time"),
        (_break(("metrics", "phoneme_error_rate", "better"), "less"), r"better is 'less'; expected one of"),
        (_break(("models", "base"), None), r"models are .* expected"),
        (_break(("audio_prompt", "wrong"), None), r"audio_prompt has \['right'\]; expected"),
        (_break(("models", "base", "phoneme_error_rate"), None), r"base has .* expected the metrics"),
        (
            _break(("models", "base", "phoneme_error_rate", "interval"), [0.1]),
            r"interval is \[0\.1\]; expected 2 entries",
        ),
        (_break(("models", "base", "phoneme_error_rate", "interval"), [0.4, 0.1]), r"expected its lower end first"),
        (_break(("models", "base", "phoneme_error_rate", "missing"), "both"), r"expected exactly one of them"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(
    tmp_path: Path, act: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = tmp_path / "summary.json"
    write_summary(_summary(), file)
    broken = copy.deepcopy(json.loads(file.read_text()))
    act(broken)
    file.write_text(json.dumps(broken))
    with pytest.raises(ValueError, match=message):
        read_summary(file)


def test_the_tables_show_every_model_step_and_reason() -> None:
    console = Console(width=160, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(summary_tables(_summary()))
    shown = capture.get()
    for expected in (
        *MODEL_ROWS,
        "missing: no model",
        "-0.050 [-0.080, -0.020]",
        "right beats wrong: yes",
        "render (done before)",
        "5.00 GiB",
    ):
        assert expected in shown
    assert "112.5" in shown  # 12.5 s + 100.0 s
    assert "(held out)" in shown


def _trial(*, low: float, high: float) -> dict[str, Measurement]:
    difference = Difference((low + high) / 2, (low, high))
    return {"right": Measurement(0.5, (0.4, 0.6), difference), "wrong": Measurement(0.1, (0.0, 0.2))}


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.3, "yes"), (-0.3, -0.1, "no"), (-0.1, 0.3, "not established")]
)
def test_the_line_of_the_audio_prompt_says_what_its_interval_establishes(low: float, high: float, verdict: str) -> None:
    line = audio_prompt_line(_trial(low=low, high=high))
    assert line.endswith(f"right beats wrong: {verdict}")
    assert f"[{low:+.3f}, {high:+.3f}]" in line


def test_a_trial_that_could_not_be_made_says_why() -> None:
    arms = {arm: missing_measurement("one singer") for arm in ("right", "wrong")}
    assert audio_prompt_line(arms).endswith("missing: one singer")
    assert audio_prompt_table(arms).rows[0] == ("the right prompt", "missing: one singer", "")


def test_total_wall_time_counts_skipped_steps_as_when_they_were_done() -> None:
    assert _summary().wall_s == 112.5
    assert replace(_summary(), steps=()).wall_s == 0


def test_versions_name_what_is_installed() -> None:
    versions = installed_versions()
    assert versions["python"].startswith("3.")
    assert versions["torch"].startswith("2.")
