"""Work ahead runs beside a block where nobody else wants the processor; neither its length nor its errors matter."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.recipes.loop import tiny
from pipelines.loop.ahead import working_ahead
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces

pytestmark = pytest.mark.usefixtures("local_ray")
_LONGEST_S = 60.0


def _context(folder: Path) -> LoopContext:
    return LoopContext(tiny(), RunPlaces(folder))


def _note(context: LoopContext) -> None:
    idle = hasattr(os, "SCHED_IDLE") and os.sched_getscheduler(0) == os.SCHED_IDLE
    (context.places.folder / "began").write_text("idle" if idle else f"nice {os.nice(0)}")


def _note_and_go_on(context: LoopContext) -> None:
    _note(context)
    while True:
        (context.places.folder / "beat").write_text(str(time.monotonic_ns()))
        time.sleep(0.01)


def _fail(context: LoopContext) -> None:
    _note(context)
    raise ValueError("no such songs")


def _wait_for(file: Path) -> str:
    begun = time.monotonic()
    while not file.exists() or not file.read_text():
        assert time.monotonic() - begun < _LONGEST_S, f"{file.name} never came"
        time.sleep(0.01)
    return file.read_text()


def test_work_runs_at_the_lowest_priority_and_is_broken_off_at_the_blocks_end(tmp_path: Path) -> None:
    with working_ahead(_context(tmp_path), _note_and_go_on):
        assert _wait_for(tmp_path / "began") in ("idle", "nice 19")
        _wait_for(tmp_path / "beat")
    last = (tmp_path / "beat").read_text()
    time.sleep(0.2)
    assert (tmp_path / "beat").read_text() == last


def test_an_error_ahead_is_logged_and_left_to_the_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with working_ahead(_context(tmp_path), _fail):
        _wait_for(tmp_path / "began")
        time.sleep(1.0)
    assert "no such songs" in caplog.text


def test_an_error_of_the_block_comes_through_and_ends_the_work(tmp_path: Path) -> None:
    def train() -> None:
        with working_ahead(_context(tmp_path), _note_and_go_on):
            _wait_for(tmp_path / "beat")
            raise KeyError("training")

    with pytest.raises(KeyError):
        train()
    last = (tmp_path / "beat").read_text()
    time.sleep(0.2)
    assert (tmp_path / "beat").read_text() == last


def test_on_gpus_nothing_is_done_ahead(tmp_path: Path) -> None:
    context = _context(tmp_path)
    on_gpu = replace(context.config, training=replace(context.config.training, use_gpu=True))
    with working_ahead(replace(context, config=on_gpu), _note):
        time.sleep(1.0)
    assert not (tmp_path / "began").exists()
