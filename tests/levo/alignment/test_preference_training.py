import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.pairs import PairExample, PairStore, write_pairs
from levo.training.examples import TrainingExample
from levo.training.loop import LoggedStep
from levo.training.phases import NO_DROPOUT, PhaseConfig, PreferenceOptions, Stage
from levo.training.precision import Precision

MakeSong = Callable[[int], TrainingExample]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, make_song: MakeSong) -> PairStore:
    """Eight pairs in which the better song holds low codes and the worse one high codes."""

    def pair(number: int) -> PairExample:
        prompt, generator = make_song(number), np.random.default_rng(number)
        return PairExample(
            pair_id=str(number),
            lyrics=prompt.lyrics,
            description=prompt.description,
            audio_prompt=prompt.audio_prompt,
            chosen=generator.integers(0, 12, (3, 8 + number)).astype(np.int32),
            rejected=generator.integers(12, 24, (3, 16 - number)).astype(np.int32),
        )

    return write_pairs([pair(number) for number in range(8)], tmp_path_factory.mktemp("pairs") / "pairs")


@pytest.fixture
def dpo(pairs: PairStore, tiny_model: Path) -> PhaseConfig:
    return PhaseConfig(
        name="dpo",
        stage=Stage.DPO,
        data=pairs.folder,
        num_steps=25,
        batch_rows=4,
        learning_rate=1e-3,
        seed=0,
        dropout=NO_DROPOUT,
        init_model=tiny_model,
        log_every=1,
        checkpoint_every=100,
    )


def _curve(phase: PhaseConfig, storage: Path) -> list[dict[str, float]]:
    logged: list[LoggedStep] = []
    run_phases_in_process([phase], storage, lambda _, step: logged.append(step), peak_operations_per_s=1e9)
    return [step.metrics for step in logged]


@pytest.mark.parametrize("length_normalised", [False, True])
def test_dpo_starts_at_log_two_and_comes_to_prefer_the_better_songs(
    tmp_path: Path, dpo: PhaseConfig, length_normalised: bool
) -> None:
    beta = 10.0 if length_normalised else 0.1
    curve = _curve(replace(dpo, preference=PreferenceOptions(beta, length_normalised)), tmp_path)
    # The first batch is judged before any step is taken, so the policy still is the reference.
    assert curve[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert curve[0]["margin"] == pytest.approx(0, abs=2e-3)
    assert curve[-1]["loss"] < 0.2
    assert curve[-1]["preference_accuracy"] == 1.0
    assert curve[-1]["reward/chosen"] > 0 > curve[-1]["reward/rejected"]
    assert curve[-1]["margin"] == pytest.approx(curve[-1]["reward/chosen"] - curve[-1]["reward/rejected"], rel=1e-5)


def test_dpo_moves_both_towers(tmp_path: Path, dpo: PhaseConfig) -> None:
    (result,) = run_phases_in_process([replace(dpo, num_steps=2)], tmp_path, lambda *_: None)
    assert result.num_frozen_tensors == 0


def test_micro_batches_of_pairs_give_the_curve_of_the_whole_batch(tmp_path: Path, dpo: PhaseConfig) -> None:
    short = replace(dpo, num_steps=4)
    whole = _curve(short, tmp_path / "whole")
    cut = _curve(replace(short, micro_batches=4), tmp_path / "cut")
    for first, second in zip(whole, cut, strict=True):
        assert second == pytest.approx(first, rel=1e-3, abs=1e-4)


def test_the_chunked_loss_gives_the_curve_of_the_whole_logits(tmp_path: Path, dpo: PhaseConfig) -> None:
    short = replace(dpo, num_steps=4)
    whole, chunked = (_curve(replace(short, chunked_loss=each), tmp_path / str(each)) for each in (False, True))
    for first, second in zip(whole, chunked, strict=True):
        assert second == pytest.approx(first, rel=1e-3, abs=1e-4)


def test_a_second_preference_reuses_the_reference(tmp_path: Path, dpo: PhaseConfig) -> None:
    _curve(replace(dpo, num_steps=1), tmp_path)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "reference-float32").rglob("*.arrow")}
    _curve(replace(dpo, num_steps=1, name="again", seed=1), tmp_path)
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "reference-float32").rglob("*.arrow")
    } == files
    assert len(files) == 1


def test_small_steps_move_float32_weights(tmp_path: Path, dpo: PhaseConfig) -> None:
    gentle = replace(dpo, num_steps=1, learning_rate=3e-5, precision=Precision.BFLOAT16)
    (result,) = run_phases_in_process([gentle], tmp_path, lambda *_: None)
    assert result.num_steps == 1
