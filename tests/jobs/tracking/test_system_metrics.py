"""System metrics: taken where the environment asks for them, by MLflow's names, for as long as the run lasts."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.tracking.events import EventKind, TrackingEvent
from jobs.tracking.jsonl_tracker import JsonLinesTracker, read_events
from jobs.tracking.system_metrics import ENABLED, INTERVAL_S, mlflow_collectors, system_metrics


def _told(file: Path) -> list[TrackingEvent]:
    return [event for event, _ in read_events(file) if event is not None and event.kind is EventKind.METRICS]


def test_nothing_is_sampled_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENABLED, raising=False)
    with system_metrics(JsonLinesTracker(tmp_path / "events").run("key", "night")):
        pass
    assert _told(tmp_path / "events") == []


def test_samples_are_points_of_the_run_and_end_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENABLED, "true")
    monkeypatch.setenv(INTERVAL_S, "0.01")
    taken: list[float] = []

    def open_collectors() -> Callable[[], dict[str, float]]:
        def sample() -> dict[str, float]:
            taken.append(time.time())
            return {"cpu_utilization_percentage": float(len(taken))}

        return sample

    run = JsonLinesTracker(tmp_path / "events").run("key", "night")
    with system_metrics(run, open_collectors):
        while len(taken) < 3:
            time.sleep(0.005)
    at_end = len(taken)
    time.sleep(0.05)
    assert len(taken) == at_end
    points = _told(tmp_path / "events")
    assert points[0].content["values"] == {"system/cpu_utilization_percentage": 1.0}
    assert abs(points[0].content["at"] - taken[0]) < 2


def test_a_short_run_has_one_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENABLED, "1")
    with system_metrics(JsonLinesTracker(tmp_path / "events").run("key", "night"), lambda: lambda: {"one": 1.0}):
        pass
    assert len(_told(tmp_path / "events")) == 1


def test_the_collectors_use_the_names_that_mlflow_shows() -> None:
    sample = mlflow_collectors()()
    assert {"cpu_utilization_percentage", "system_memory_usage_percentage", "disk_usage_percentage"} <= set(sample)
    assert 0 <= sample["system_memory_usage_percentage"] <= 100
