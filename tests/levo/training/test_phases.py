import json
from dataclasses import replace
from pathlib import Path

import pytest

from levo.model.conditions import ConditionDropout
from levo.training.phases import NO_DROPOUT, AdamOptions, PhaseConfig, Stage, steps_for_epochs

PHASE = PhaseConfig(
    name="sft",
    stage=Stage.SFT,
    data=Path("songs"),
    num_steps=100,
    batch_rows=8,
    learning_rate=1e-4,
    seed=7,
    init_model=Path("base"),
    adam=AdamOptions(betas=(0.8, 0.9)),
    dropout=ConditionDropout(audio_prompt=0.25),
)


def test_a_phase_survives_json() -> None:
    for phase in (PHASE, replace(PHASE, init_model=None)):
        assert PhaseConfig.from_json(json.loads(json.dumps(phase.to_json()))) == phase


def test_names_paths_and_reports_do_not_make_another_recipe_and_all_else_does() -> None:
    same = replace(PHASE, name="x", data=Path("y"), init_model=None, checkpoint_every=20, log_every=5)
    assert same.recipe_fields() == PHASE.recipe_fields()
    for other in (
        replace(PHASE, seed=8),
        replace(PHASE, num_steps=101),
        replace(PHASE, adam=AdamOptions()),
        replace(PHASE, dropout=NO_DROPOUT),
        replace(PHASE, micro_batches=2),
    ):
        assert other.recipe_fields() != PHASE.recipe_fields()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"num_steps": 0}, "num_steps is 0"),
        ({"micro_batches": 3}, "8 rows do not divide into 3 micro-batches"),
        ({"checkpoint_every": 15, "log_every": 10}, "checkpoint_every 15 is no multiple of log_every 10"),
        ({"stage": Stage.DPO}, "give NO_DROPOUT"),
    ],
)
def test_a_phase_that_cannot_run_is_refused(change: dict[str, int | Stage], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(PHASE, **change)  # type: ignore[arg-type]


def test_epochs_become_steps_that_see_every_example() -> None:
    assert steps_for_epochs(num_examples=17, batch_rows=8, num_epochs=2.0) == 5
    assert steps_for_epochs(num_examples=16, batch_rows=8, num_epochs=2.0) == 4
    assert steps_for_epochs(num_examples=1, batch_rows=8, num_epochs=0.5) == 1
