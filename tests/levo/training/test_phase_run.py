import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from levo.alignment.stage_tasks import StageTasks
from levo.model.construction import new_lelm
from levo.model.store import load_config, save_model
from levo.training.checkpoints import FolderCheckpoints
from levo.training.engine import PlainEngine
from levo.training.examples import ExampleStore
from levo.training.freezing import FrozenParameterMovedError, is_trained
from levo.training.journal import read_journal
from levo.training.loop import LoggedStep, NonFiniteGradientError
from levo.training.phase_run import PhaseRunner, finished
from levo.training.phases import AdamOptions, PhaseConfig, Stage, TrainedPart
from levo.training.workers import SingleWorker


class KilledError(Exception):
    pass


@pytest.fixture
def pretrain(song_store: ExampleStore, tiny_model: Path) -> PhaseConfig:
    return PhaseConfig(
        name="pretrain",
        stage=Stage.PRETRAIN,
        data=song_store.folder,
        num_steps=12,
        batch_rows=4,
        learning_rate=3e-3,
        warmup_steps=2,
        seed=1,
        init_model=tiny_model,
        log_every=1,
        checkpoint_every=3,
        adam=AdamOptions(weight_decay=0.01),
    )


def _runner(storage: Path, *, die_after: int | None = None, make_engine: Any = None) -> PhaseRunner:
    def on_log(name: str, logged: LoggedStep) -> None:
        if logged.step == die_after:
            raise KilledError

    return PhaseRunner(
        storage=storage,
        tasks=StageTasks(),
        make_engine=make_engine or (lambda model, phase: PlainEngine(model, phase)),
        checkpoints=lambda phase: FolderCheckpoints(storage / phase.name / "checkpoints"),
        on_log=on_log,
        device=torch.device("cpu"),
        workers=SingleWorker(),
        peak_operations_per_s=1e9,
    )


def _curve(storage: Path, name: str) -> list[tuple[int, dict[str, float]]]:
    return [(logged.step, logged.metrics) for logged in read_journal(storage / name / "metrics.jsonl")]


def test_extension_leaves_all_that_it_freezes_bit_identical(tmp_path: Path, pretrain: PhaseConfig) -> None:
    extend = replace(pretrain, name="extend", stage=Stage.EXTEND, init_model=None)
    first, second = _runner(tmp_path).run_all([pretrain, extend])
    before = load_file(first.model_folder / "model.safetensors")
    after = load_file(second.model_folder / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if is_trained(name, TrainedPart.AR_DECODER)}
    assert second.num_frozen_tensors == len(before) - len(moved)
    assert first.mixed_logits is None
    assert second.mixed_logits is not None
    assert second.mixed_logits.identical


def test_an_engine_that_moves_a_frozen_weight_is_caught(tmp_path: Path, pretrain: PhaseConfig) -> None:
    class Careless(PlainEngine):
        def step(self, learning_rate: float) -> float:
            with torch.no_grad():
                dict(self.model.named_parameters())["linears.0.weight"][0, 0] += 1e-7
            return super().step(learning_rate)

    def careless(model: nn.Module, phase: PhaseConfig) -> Careless:
        return Careless(model, phase)

    with pytest.raises(FrozenParameterMovedError, match=r"linears\.0\.weight"):
        _runner(tmp_path, make_engine=careless).run_all([pretrain])
    assert not (tmp_path / "pretrain" / "model").exists()


@pytest.mark.parametrize("die_after", [1, 4, 5, 9, 12])
def test_a_killed_run_goes_on_to_the_same_curve_and_the_same_weights(
    tmp_path: Path, pretrain: PhaseConfig, die_after: int
) -> None:
    (whole,) = _runner(tmp_path / "whole").run_all([pretrain])
    with pytest.raises(KilledError):
        _runner(tmp_path / "killed", die_after=die_after).run_all([pretrain])
    (resumed,) = _runner(tmp_path / "killed").run_all([pretrain])
    assert _curve(tmp_path / "killed", "pretrain") == _curve(tmp_path / "whole", "pretrain")
    assert resumed.model_digest == whole.model_digest
    assert resumed.identity == whole.identity


def test_a_checkpoint_of_another_shape_is_not_gone_on_from(
    tmp_path: Path, pretrain: PhaseConfig, tiny_model: Path
) -> None:
    wider = replace(load_config(tiny_model), feed_forward_width=64)
    save_model(new_lelm(wider, seed=0), tiny_model / "tokenizer", tmp_path / "wider")
    other = replace(pretrain, init_model=tmp_path / "wider")
    (fresh,) = _runner(tmp_path / "fresh").run_all([other])
    with pytest.raises(KilledError):
        _runner(tmp_path / "mixed", die_after=5).run_all([pretrain])
    assert list((tmp_path / "mixed" / "pretrain" / "checkpoints").iterdir())
    (trained,) = _runner(tmp_path / "mixed").run_all([other])
    assert trained.model_digest == fresh.model_digest
    assert _curve(tmp_path / "mixed", "pretrain") == _curve(tmp_path / "fresh", "pretrain")


def test_what_is_finished_is_skipped_until_data_recipe_or_initial_weights_change(
    tmp_path: Path, pretrain: PhaseConfig
) -> None:
    short = replace(pretrain, num_steps=2)
    extend = replace(short, name="extend", stage=Stage.EXTEND, init_model=None)
    runner = _runner(tmp_path)
    first = runner.run_all([short, extend])
    assert [result.skipped for result in first] == [False, False]
    again = runner.run_all([short, extend])
    assert [result.skipped for result in again] == [True, True]
    assert [result.model_digest for result in again] == [result.model_digest for result in first]
    assert finished([short, extend], tmp_path, StageTasks()) == again
    reported_elsewhere = replace(short, log_every=2, checkpoint_every=2)
    assert finished([reported_elsewhere, extend], tmp_path, StageTasks()) == again
    reseeded = replace(short, seed=2)
    assert finished([reseeded, extend], tmp_path, StageTasks()) is None
    assert [result.skipped for result in runner.run_all([reseeded, extend])] == [False, False]


def test_a_model_that_was_tampered_with_is_trained_again(tmp_path: Path, pretrain: PhaseConfig) -> None:
    short = replace(pretrain, num_steps=2)
    (result,) = _runner(tmp_path).run_all([short])
    (result.model_folder / "config.json").write_text((result.model_folder / "config.json").read_text() + " ")
    assert finished([short], tmp_path, StageTasks()) is None


def test_training_learns_songs_that_repeat_themselves(tmp_path: Path, pretrain: PhaseConfig) -> None:
    longer = replace(pretrain, stage=Stage.JOINT, num_steps=120, batch_rows=8, checkpoint_every=999, learning_rate=1e-2)
    _runner(tmp_path).run_all([longer])
    losses = [metrics["loss"] for _, metrics in _curve(tmp_path, "pretrain")]
    assert losses[0] == pytest.approx(math.log(25), abs=0.3)
    assert losses[-1] < 0.5 * losses[0]


def test_a_first_phase_without_a_model_is_refused(tmp_path: Path, pretrain: PhaseConfig) -> None:
    with pytest.raises(ValueError, match="phase pretrain comes first and has no initial model"):
        _runner(tmp_path).run_all([replace(pretrain, init_model=None)])


def test_a_gradient_that_is_no_number_stops_the_phase_at_its_step(tmp_path: Path, pretrain: PhaseConfig) -> None:
    class Poisoned(PlainEngine):
        steps = 0

        def step(self, learning_rate: float) -> float:
            self.steps += 1
            if self.steps == 3:
                next(value for value in self.model.parameters() if value.grad is not None).grad.fill_(float("nan"))  # type: ignore[union-attr]
            return super().step(learning_rate)

    with pytest.raises(NonFiniteGradientError, match="phase pretrain, step 3: the gradient's norm is nan"):
        _runner(tmp_path, make_engine=lambda model, phase: Poisoned(model, phase)).run_all([pretrain])
