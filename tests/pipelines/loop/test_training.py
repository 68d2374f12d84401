import os
import pickle
import re
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ray.train import WorkerGroupError
from safetensors.torch import load_file

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.stage_tasks import StageTasks
from levo.song.files import DiskError
from levo.training.journal import read_journal
from levo.training.loop import LoggedStep
from levo.training.phase_run import TaskSource
from levo.training.phases import PhaseConfig
from levo.training.seals import check_seals
from pipelines.loop.deepspeed_engine import ZeroOptions
from pipelines.loop.training import TrainingScale, run_name, run_phases


def _tasks_with_a_mishap(phase_name: str, step: int, marker: Path, mishap: Callable[[], None]) -> TaskSource:
    """Tasks of which one has a mishap in the given step, once; local, so that Ray ships them by value."""

    class UnluckyTask:
        def __init__(self, task: Any) -> None:
            self.task = task

        def __getattr__(self, name: str) -> Any:
            return getattr(self.task, name)

        def micro_batches(self, at_step: int, *place: Any) -> Any:
            if at_step == step and not marker.exists():
                marker.touch()
                mishap()
            return self.task.micro_batches(at_step, *place)

    class UnluckyTasks(StageTasks):
        def task(self, setting: Any) -> Any:
            task = super().task(setting)
            return UnluckyTask(task) if setting.phase.name == phase_name else task

    return UnluckyTasks()


def _curve(storage: Path, name: str) -> list[dict[str, float]]:
    return [logged.metrics for logged in read_journal(storage / name / "metrics.jsonl")]


@pytest.mark.ray
def test_one_fit_runs_the_stages_and_a_crash_changes_nothing(
    local_ray: None, tiny_training: Any, tmp_path: Path
) -> None:
    plain = run_phases_in_process(tiny_training.phases, tmp_path / "plain", lambda *_: None)
    crash_step, marker = Random(20261120).randrange(1, 8), tmp_path / "crashed"
    tasks, seen = _tasks_with_a_mishap("extend", crash_step, marker, lambda: os._exit(1)), list[tuple[str, int]]()

    def on_log(name: str, logged: LoggedStep) -> None:
        seen.append((name, logged.step))

    results = run_phases(tiny_training.phases, tmp_path / "ray", on_log, TrainingScale(max_failures=1), tasks=tasks)
    assert marker.exists()
    assert seen == [(phase.name, step) for phase in tiny_training.phases for step in range(1, phase.num_steps + 1)]
    assert results[0].identity == plain[0].identity
    assert [result.skipped for result in results] == [False, False, False]
    for phase in tiny_training.phases:
        curves = _curve(tmp_path / "plain", phase.name), _curve(tmp_path / "ray", phase.name)
        for expected, got in zip(*curves, strict=True):
            assert got == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert list((tmp_path / "ray" / "ray").glob("phases-*")) == []
    again = run_phases(tiny_training.phases, tmp_path / "ray", on_log)
    assert [result.skipped for result in again] == [True, True, True]
    assert [result.model_digest for result in again] == [result.model_digest for result in results]


@pytest.mark.ray
@pytest.mark.slow
def test_a_full_disk_stops_the_fit_by_name_and_the_next_one_goes_on(
    local_ray: None, tiny_training: Any, tmp_path: Path
) -> None:
    phases = tiny_training.phases[:1]
    (plain,) = run_phases_in_process(phases, tmp_path / "plain", lambda *_: None)
    marker, storage = tmp_path / "full", tmp_path / "ray"
    no_room = (1 << 16, resource.RLIM_INFINITY)
    tasks = _tasks_with_a_mishap("pretrain", 7, marker, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, no_room))
    scale = TrainingScale(max_failures=0)
    with pytest.raises(DiskError, match=re.escape(f"cannot write {storage}: File too large")):
        run_phases(phases, storage, lambda *_: None, scale, tasks=tasks)
    assert marker.exists()
    assert not (storage / "pretrain" / "result.json").exists()
    assert not (storage / "pretrain" / "model").exists()
    (resumed,) = run_phases(phases, storage, lambda *_: None, scale, tasks=tasks)
    assert resumed.identity == plain.identity
    for expected, got in zip(_curve(tmp_path / "plain", "pretrain"), _curve(storage, "pretrain"), strict=True):
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_two_workers_train_as_one_process_does(local_ray: None, tiny_training: Any, tmp_path: Path, stage: int) -> None:
    plain = run_phases_in_process(tiny_training.phases, tmp_path / "plain", lambda *_: None)
    scale = TrainingScale(num_workers=2, cpus_per_worker=1, zero=ZeroOptions(stage))
    spread = run_phases(tiny_training.phases, tmp_path / "ray", lambda *_: None, scale)
    for one, other in zip(plain, spread, strict=True):
        for expected, got in zip(_curve(tmp_path / "plain", one.name), _curve(tmp_path / "ray", one.name), strict=True):
            assert got == pytest.approx(expected, rel=1e-4, abs=1e-4)
        expected_weights = load_file(one.model_folder / "model.safetensors")
        weights = load_file(other.model_folder / "model.safetensors")
        for name, tensor in weights.items():
            assert float((tensor - expected_weights[name]).abs().max()) < 1e-4


def _break_off(phases: list[PhaseConfig], storage: Path, scale: TrainingScale, at_step: int) -> Path:
    """Let a worker die for good in a step; the fit's newest checkpoint."""

    def die() -> None:
        # Ray's controller asks its workers every few seconds; a checkpoint that it has not heard of does not count.
        time.sleep(8)
        os._exit(1)

    tasks = _tasks_with_a_mishap(phases[0].name, at_step, storage.with_name("died"), die)
    with pytest.raises(WorkerGroupError):
        run_phases(phases, storage, lambda *_: None, replace(scale, max_failures=0), tasks=tasks)
    return max(path for path in (storage / "ray").glob("phases-*/checkpoint_*") if path.is_dir())


@pytest.mark.ray
@pytest.mark.slow
def test_a_checkpoint_of_two_workers_is_sealed_by_both_and_refused_where_it_was_changed(
    local_ray: None, tiny_training: Any, tmp_path: Path
) -> None:
    phases, storage = tiny_training.phases[:1], tmp_path / "ray"
    scale = TrainingScale(num_workers=2, cpus_per_worker=1, max_failures=0)
    checkpoint = _break_off(phases, storage, scale, at_step=5)
    assert [file.name for file in sorted(checkpoint.glob("seal-*"))] == ["seal-00000.json", "seal-00001.json"]
    check_seals(checkpoint)
    (state,) = (checkpoint / "state").glob("*rank_1_mp_rank_00_optim_states.pt")
    whole = state.read_bytes()

    state.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WorkerGroupError, match=f"holds another state/{state.name} than was written"):
        run_phases(phases, storage, lambda *_: None, scale)
    state.write_bytes(whole)
    added = checkpoint / "state" / "added.pt"
    added.write_bytes(pickle.dumps(tmp_path))
    with pytest.raises(WorkerGroupError, match=r"holds state/added\.pt, which no worker wrote"):
        run_phases(phases, storage, lambda *_: None, scale)
    added.unlink()
    (resumed,) = run_phases(phases, storage, lambda *_: None, scale)
    (plain,) = run_phases_in_process(phases, tmp_path / "plain", lambda *_: None)
    assert resumed.identity == plain.identity
    for expected, got in zip(_curve(tmp_path / "plain", "pretrain"), _curve(storage, "pretrain"), strict=True):
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_fit_is_named_after_what_decides_its_outcome(tiny_training: Any) -> None:
    first, *rest = tiny_training.phases
    name = run_name([first, *rest], StageTasks())
    assert run_name([replace(first, log_every=3), *rest], StageTasks()) == name
    assert run_name([replace(first, seed=9), *rest], StageTasks()) != name
    assert run_name([first], StageTasks()) != name
