import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.stage_tasks import StageTasks
from levo.training.checkpoints import FolderCheckpoints
from levo.training.journal import read_journal
from levo.training.loop import LoggedStep
from levo.training.phase_run import PhaseRunner
from levo.training.phases import PhaseConfig
from levo.training.results import PhaseResult
from levo.training.seals import CheckpointRefusedError
from levo.training.workers import DistributedWorkers
from pipelines.loop.deepspeed_engine import (
    DeepSpeedEngine,
    MissingCompilerError,
    ZeroOptions,
    check_compiler,
    deepspeed_config,
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def process_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A group of one, as Ray Train would make it."""
    patch = pytest.MonkeyPatch()
    for name, value in {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1", "DS_ACCELERATOR": "cpu"}.items():
        patch.setenv(name, value)
    meeting = tmp_path_factory.mktemp("group") / "file"
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
    patch.undo()


def _train(phases: list[PhaseConfig], storage: Path, stage: int, die_after: int | None = None) -> list[PhaseResult]:
    workers = DistributedWorkers()

    def on_log(name: str, logged: LoggedStep) -> None:
        if logged.step == die_after:
            raise KilledError

    runner = PhaseRunner(
        storage=storage,
        tasks=StageTasks(),
        make_engine=lambda model, phase: DeepSpeedEngine(model, phase, ZeroOptions(stage), workers),
        checkpoints=lambda phase: FolderCheckpoints(storage / phase.name / "checkpoints"),
        on_log=on_log,
        device=torch.device("cpu"),
        workers=workers,
        peak_operations_per_s=1e9,
    )
    return runner.run_all(phases)


def _curve(storage: Path, name: str) -> list[dict[str, float]]:
    return [logged.metrics for logged in read_journal(storage / name / "metrics.jsonl")]


@pytest.mark.parametrize(("stage", "chunked_loss"), [(0, False), (1, False), (2, True), (3, False), (3, True)])
def test_every_zero_stage_trains_as_plain_pytorch_does(
    process_group: None, tiny_training: Any, tmp_path: Path, stage: int, chunked_loss: bool
) -> None:
    plain = run_phases_in_process(tiny_training.phases, tmp_path / "plain", lambda *_: None, peak_operations_per_s=1e9)
    phases = [replace(phase, chunked_loss=chunked_loss) for phase in tiny_training.phases]
    spread = _train(phases, tmp_path / "zero", stage)
    for one, other in zip(plain, spread, strict=True):
        for expected, got in zip(
            _curve(tmp_path / "plain", one.name), _curve(tmp_path / "zero", one.name), strict=True
        ):
            if abs(expected.get("margin", 1.0)) < 1e-5:
                # The policy still is the reference: which song it prefers is rounding.
                got["preference_accuracy"] = expected["preference_accuracy"]
            assert got == pytest.approx(expected, rel=1e-4, abs=1e-5)
        expected_weights = load_file(one.model_folder / "model.safetensors")
        weights = load_file(other.model_folder / "model.safetensors")
        assert weights.keys() == expected_weights.keys()
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, expected_weights[name], atol=2e-5, rtol=0)
    assert spread[1].mixed_logits is not None
    assert spread[1].mixed_logits.identical


@pytest.mark.parametrize("stage", [1, 3])
def test_a_killed_run_goes_on_to_the_same_curve(
    process_group: None, tiny_training: Any, tmp_path: Path, stage: int
) -> None:
    phases = [replace(tiny_training.phases[1], init_model=tiny_training.model)]
    (whole,) = _train(phases, tmp_path / "whole", stage)
    with pytest.raises(KilledError):
        _train(phases, tmp_path / "killed", stage, die_after=5)
    (resumed,) = _train(phases, tmp_path / "killed", stage)
    assert _curve(tmp_path / "killed", "extend") == _curve(tmp_path / "whole", "extend")
    assert resumed.model_digest == whole.model_digest


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


def _replace_by_payload(file: Path, marker: Path) -> None:
    torch.save(Payload(marker), file)


def _add_payload(file: Path, marker: Path) -> None:
    torch.save(Payload(marker), file.with_name("zero_pp_rank_1_mp_rank_00_optim_states.pt"))


def _flip_a_bit(file: Path, marker: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("deed", [_replace_by_payload, _add_payload, _flip_a_bit])
def test_a_checkpoint_that_was_changed_is_refused_before_its_pickles_run(
    process_group: None, tiny_training: Any, tmp_path: Path, deed: Callable[[Path, Path], None]
) -> None:
    phases = [replace(tiny_training.phases[1], init_model=tiny_training.model)]
    with pytest.raises(KilledError):
        _train(phases, tmp_path / "killed", 1, die_after=5)
    (state,) = (tmp_path / "killed").rglob("*optim_states.pt")
    deed(state, tmp_path / "it-ran")
    with pytest.raises(CheckpointRefusedError, match=r"optim_states\.pt"):
        _train(phases, tmp_path / "killed", 1)
    assert not (tmp_path / "it-ran").exists()


def test_the_payload_would_run_where_nobody_checks(tmp_path: Path) -> None:
    torch.save(Payload(tmp_path / "it-ran"), tmp_path / "state.pt")
    torch.load(tmp_path / "state.pt", weights_only=False)
    assert (tmp_path / "it-ran").exists()


def test_rows_that_workers_cannot_share_evenly_are_refused(tiny_training: Any) -> None:
    phase = tiny_training.phases[0]
    assert deepspeed_config(phase, ZeroOptions(2), 2)["train_micro_batch_size_per_gpu"] == 2
    with pytest.raises(ValueError, match="8 rows do not divide into 2 micro-batches on 3 workers"):
        deepspeed_config(phase, ZeroOptions(2), 3)
    with pytest.raises(ValueError, match="ZeRO stage 4"):
        ZeroOptions(4)


def test_a_machine_without_a_compiler_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MissingCompilerError, match=r"lacks g\+\+, ninja-build.*apt-get install -y g\+\+ ninja-build"):
        check_compiler()


def test_the_op_can_be_compiled_beforehand() -> None:
    call = "from pipelines.loop.deepspeed_engine import compile_communication_op as compile; compile(); compile()"
    environment = os.environ | {"DS_ACCELERATOR": "cpu"}
    done = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
