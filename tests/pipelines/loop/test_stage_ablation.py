"""The ablation of the stages: as many steps as the base, no decoder tower, and verdicts that intervals establish."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.recipes.loop import demo
from levo.alignment.in_process import run_phases_in_process
from levo.model.conditions import null_condition_tokens
from levo.model.construction import new_lelm
from levo.model.store import load_config, load_model, save_model
from levo.song.scores import Metric
from levo.song.tokens import Stream
from levo.training.phases import PhaseConfig, Stage
from levo.training.results import PhaseResult
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation import EvaluationCell
from pipelines.loop.metrics import METRICS, MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT
from pipelines.loop.model_steps import base_phases
from pipelines.loop.places import RunPlaces
from pipelines.loop.stage_ablation import joint_phases, without_decoder
from pipelines.loop.stage_comparison import StageRow, Worse, is_worse, verdict_line
from reward.bootstrap import MeanInterval


def total_steps(phases: Sequence[PhaseConfig]) -> int:
    return sum(phase.num_steps for phase in phases)


def test_joint_training_has_the_steps_and_the_data_of_the_recipe_s_base(tmp_path: Path) -> None:
    phases = base_phases(LoopContext(demo(), RunPlaces(tmp_path)))
    joint = joint_phases(phases, "joint", tmp_path / "initial")
    assert total_steps(joint) == total_steps(phases)
    assert {phase.stage for phase in joint} == {Stage.JOINT}
    assert [phase.data for phase in joint] == [phase.data for phase in phases if phase.stage is Stage.PRETRAIN]
    assert [phase.init_model for phase in joint] == [tmp_path / "initial"] + [None] * (len(joint) - 1)
    assert joint[0] == replace(
        phases[0], name=f"joint-{phases[0].name}", stage=Stage.JOINT, init_model=tmp_path / "initial"
    )


def test_phases_of_other_stages_are_refused(tiny_training: Any) -> None:
    pretrain, extend, dpo = tiny_training.phases
    for phases in ([extend], [extend, pretrain], [pretrain, extend, dpo], []):
        with pytest.raises(ValueError, match="expected pretrain, then extend"):
            joint_phases(phases, "joint", tiny_training.model)


def trained(phases: list[PhaseConfig], storage: Path) -> PhaseResult:
    return run_phases_in_process(phases, storage, lambda _name, _step: None, peak_operations_per_s=1e9)[-1]


def test_without_stage_2_both_towers_move_in_every_phase(tiny_training: Any, tmp_path: Path) -> None:
    result = trained(joint_phases(tiny_training.phases[:2], "joint", tiny_training.model), tmp_path)
    assert result.num_steps == total_steps(tiny_training.phases[:2])
    assert result.num_frozen_tensors == 0
    assert set(result.metrics) >= {"loss/mixed", "loss/vocal", "loss/accompaniment"}


def test_without_decoder_the_heads_of_the_tracks_learn_on_the_language_model(
    tiny_training: Any, tmp_path: Path
) -> None:
    whole = load_config(tiny_training.model)
    config = without_decoder(whole)
    assert (config.num_layers, config.num_decoder_layers) == (whole.num_layers + whole.num_decoder_layers, 0)
    flat, full = new_lelm(config, seed=0), new_lelm(whole, seed=0)
    assert sum(one.numel() for one in flat.parameters()) == sum(one.numel() for one in full.parameters())
    save_model(flat, tiny_training.model / "tokenizer", tmp_path / "initial")
    phases = [
        replace(phase, num_steps=120, log_every=5, checkpoint_every=120)
        for phase in joint_phases(tiny_training.phases[:1], "flat", tmp_path / "initial")
    ]
    losses: list[dict[str, float]] = []
    run_phases_in_process(
        phases, tmp_path / "run", lambda _name, step: losses.append(step.metrics), peak_operations_per_s=1e9
    )
    for name in ("loss/mixed", "loss/vocal", "loss/accompaniment"):
        assert losses[-1][name] < losses[0][name] - 0.2
    model = load_model(tmp_path / "run" / "flat-pretrain" / "model").model
    assert len(model.transformer.model.layers) == whole.num_layers + whole.num_decoder_layers
    assert len(model.transformer2.model.layers) == 0
    conditions = null_condition_tokens(1, config)
    sung, other = torch.ones(1, 3, 6, dtype=torch.long), torch.ones(1, 3, 6, dtype=torch.long)
    other[:, Stream.MIXED, 0] = 2
    with torch.inference_mode():
        before, after = model(sung, conditions).logits, model(other, conditions).logits
    for stream in (Stream.VOCAL, Stream.ACCOMPANIMENT):
        assert not torch.equal(before[stream][:, -1], after[stream][:, -1])


def cell(mean: float, low: float, high: float) -> EvaluationCell:
    value = MeanInterval(0.5, 0.4, 0.6, 96, 0.95)
    return EvaluationCell(value, MeanInterval(mean, low, high, 96, 0.95), None)


@pytest.mark.parametrize(
    ("metric", "difference", "expected"),
    [
        (PHONEME_ERROR_RATE, (0.2, 0.1, 0.3), Worse.YES),
        (PHONEME_ERROR_RATE, (-0.2, -0.3, -0.1), Worse.NO),
        (PHONEME_ERROR_RATE, (0.2, -0.1, 0.5), Worse.NOT_ESTABLISHED),
        (MUSICALITY, (0.2, 0.1, 0.3), Worse.NO),
        (MUSICALITY, (-0.2, -0.3, -0.1), Worse.YES),
        (MUSICALITY, (0.0, 0.0, 0.0), Worse.NOT_ESTABLISHED),
    ],
)
def test_worse_is_what_the_interval_establishes_in_the_metric_s_own_direction(
    metric: Metric, difference: tuple[float, float, float], expected: Worse
) -> None:
    assert is_worse(cell(*difference), metric) is expected


def row(name: str, **cells: EvaluationCell) -> StageRow:
    absent = EvaluationCell(None, None, "no backend")
    return StageRow(name, "base", {metric.name: cells.get(metric.name, absent) for metric in METRICS})


def test_a_line_says_whether_a_row_is_worse_with_the_interval_and_what_other_judges_say() -> None:
    one = row(
        "without-stage-2",
        **{
            PHONEME_ERROR_RATE.name: cell(0.2, 0.1, 0.3),
            MUSICALITY.name: cell(0.2, 0.1, 0.3),
            SIMILARITY_TO_TEXT.name: cell(-0.2, -0.3, 0.1),
        },
    )
    assert verdict_line(one) == (
        "w/o stage 2: worse than the full model: yes (phoneme_error_rate +0.200 [+0.100, +0.300]); "
        "by the others: better musicality; not established similarity_to_text"
    )


def test_an_open_difference_is_called_not_established_and_a_missing_one_says_why() -> None:
    is_open = row("without-stage-2", **{PHONEME_ERROR_RATE.name: cell(0.1, -0.1, 0.3)})
    assert "worse than the full model: not established (phoneme_error_rate +0.100 [-0.100, +0.300])" in verdict_line(
        is_open
    )
    assert verdict_line(row("without-dual-track")) == "w/o dual-track: worse than the full model: missing (no backend)"
