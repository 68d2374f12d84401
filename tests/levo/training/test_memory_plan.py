"""The memory plan against what a phase really takes, and what it says of cards."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from levo.model.conditions import null_condition_tokens
from levo.model.config import TextVocabulary, demo_config, large_config, medium_config
from levo.model.delay import interleave
from levo.model.lelm import LeLM, Targets
from levo.training.memory_plan import MemoryPlan, TrainedSizes, plan_lines, plan_memory
from levo.training.phases import NO_DROPOUT, PhaseConfig, Stage

BILLIONS = TrainedSizes(2_800_000_000, 2_800_000_000)


def phase(**changes: object) -> PhaseConfig:
    fields = {"name": "x", "stage": Stage.SFT, "data": Path("x"), "num_steps": 1, "batch_rows": 1}
    return PhaseConfig(**{**fields, "learning_rate": 1e-4, "seed": 0, **changes})  # type: ignore[arg-type]


def test_weights_gradients_and_moments_are_sixteen_bytes_a_parameter_in_float32() -> None:
    plan = plan_memory(medium_config(), BILLIONS, phase(), 100, computes_narrow=False)
    assert plan.weights + plan.gradients + plan.optimiser == 16 * BILLIONS.num_parameters


@pytest.mark.parametrize(("stage", "expected"), [(0, (12, 8, 4)), (1, (12, 2, 4)), (2, (12, 2, 1)), (3, (3, 2, 1))])
def test_zero_shares_out_the_optimiser_then_gradients_then_weights(stage: int, expected: tuple[int, int, int]) -> None:
    sizes = TrainedSizes(3, 1)
    plan = plan_memory(
        medium_config(), sizes, phase(batch_rows=4), 10, zero_stage=stage, num_workers=4, computes_narrow=False
    )
    assert (plan.weights, plan.optimiser, plan.gradients) == expected


def test_each_way_to_save_memory_saves_some() -> None:
    def plan(sizes: TrainedSizes = BILLIONS, **changes: object) -> MemoryPlan:
        return plan_memory(medium_config(), sizes, phase(**changes), 6750)

    def total(sizes: TrainedSizes = BILLIONS, **changes: object) -> int:
        return plan(sizes, **changes).total

    whole = total()
    assert plan(recompute_activations=True).activations < 0.2 * plan().activations
    assert total(chunked_loss=True) < whole
    assert total(TrainedSizes(2_800_000_000, 20_000_000)) < 0.7 * whole
    assert total(stage=Stage.DPO, dropout=NO_DROPOUT) > 1.3 * whole


def test_cards_are_told_what_they_lack() -> None:
    sizes = TrainedSizes(5_100_000_000, 20_000_000)
    small = phase(recompute_activations=True, chunked_loss=True)
    lines = plan_lines(plan_memory(large_config(), sizes, small, 1000))
    assert "memory a worker: 3" in lines[0]
    assert ["missing" in line for line in lines[1:]] == [True, False, False]


@pytest.mark.parametrize("is_narrow", [False, True])
def test_what_a_real_forward_pass_keeps_for_its_gradient_is_as_planned(is_narrow: bool) -> None:
    vocabulary = TextVocabulary(lyrics_size=60, description_size=50, padding_id=40, start_id=41, first_structure_id=45)
    config = replace(demo_config(vocabulary), width=512, feed_forward_width=1536, prefix_padding="attended")
    model, num_rows, num_frames = LeLM(config), 2, 150
    codes = torch.randint(512, (num_rows, 3, num_frames), generator=torch.Generator().manual_seed(0))
    with (
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen,
        torch.autocast("cpu", torch.bfloat16, enabled=is_narrow),
    ):
        output = model(
            interleave(codes, config.delays, config.special_id),
            null_condition_tokens(num_rows, config),
            targets=Targets(codes, is_summed=True),
        )
    assert output.losses
    num_bytes = sum(event.self_cpu_memory_usage for event in seen.key_averages())
    plan = plan_memory(config, TrainedSizes(0, 0), phase(batch_rows=num_rows), num_frames, computes_narrow=is_narrow)
    assert plan.activations == pytest.approx(num_bytes, rel=0.25)
