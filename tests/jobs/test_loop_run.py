"""A run goes on where it was, and is refused where what was done would come out otherwise now."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs.loop_run import LoopRun, LoopStep, StepResult, StepTools, open_loop
from jobs.progress import RunProgress
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run_folder import BusyFolderError, ChangedStepError


def step(name: str, done: list[str]) -> LoopStep:
    def act(_: StepTools) -> StepResult:
        done.append(name)
        return {"name": name}

    return LoopStep(name, name, act)


def run(out: Path, steps: tuple[LoopStep, ...]) -> LoopRun:
    opened = open_loop("tiny", 0, out, "none")
    loop = LoopRun(opened.context, opened.folder, opened.tracker, RunProgress(len(steps), Console(quiet=True)))
    with opened.tracked(), ResourceMonitor() as monitor:
        loop.run(steps, monitor)
    opened.tracker.close()
    return loop


def test_nothing_is_done_twice_and_the_memory_is_remembered(tmp_path: Path) -> None:
    done: list[str] = []
    steps = tuple(step(name, done) for name in ("first", "second"))
    peak = run(tmp_path / "run", steps).peak_memory_bytes
    assert peak > 0
    assert run(tmp_path / "run", steps).peak_memory_bytes == peak
    assert done == ["first", "second"]


@pytest.mark.parametrize("change", [{"version": 2}, {"inputs": "other recordings"}])
def test_a_run_is_not_gone_on_with_where_a_done_step_changed(tmp_path: Path, change: dict[str, Any]) -> None:
    done: list[str] = []
    first, second, third = (step(name, done) for name in ("first", "second", "third"))
    run(tmp_path / "run", (first, second))
    with pytest.raises(ChangedStepError, match="'second' was done by another version"):
        run(tmp_path / "run", (first, replace(second, **change), third))
    run(tmp_path / "run", (first, second, third))
    assert done == ["first", "second", "third"]


def test_a_step_that_nothing_follows_may_come_and_go(tmp_path: Path) -> None:
    done: list[str] = []
    first, aside, last = (step(name, done) for name in ("first", "aside", "last"))
    run(tmp_path / "run", (first, last))
    run(tmp_path / "run", (first, replace(aside, is_followed=False), last))
    run(tmp_path / "run", (first, replace(aside, is_followed=False, inputs="others"), last))
    assert done == ["first", "last", "aside", "aside"]


def test_a_second_command_in_the_folder_is_told_so(tmp_path: Path) -> None:
    opened = open_loop("tiny", 0, tmp_path / "run", "none")
    with opened.tracked(), pytest.raises(BusyFolderError, match="another command is at work"):
        run(tmp_path / "run", ())
    run(tmp_path / "run", ())


def test_what_a_step_leaves_is_taken_away_when_the_run_ends_well_or_badly(tmp_path: Path) -> None:
    seen: list[str] = []

    def leave(tools: StepTools) -> StepResult:
        tools.at_end(lambda: seen.append("taken away"))
        return {}

    def use(_: StepTools) -> StepResult:
        seen.append("used")
        if len(seen) > 2:
            raise OSError("no more")
        return {}

    steps = (LoopStep("leave", "leave", leave), LoopStep("use", "use", use))
    run(tmp_path / "well", steps)
    with pytest.raises(OSError, match="no more"):
        run(tmp_path / "badly", steps)
    assert seen == ["used", "taken away"] * 2
