import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from levo.training.schedule import Schedule

_RECORDED = Path(__file__).parents[2] / "golden" / "parity" / "lelm_common"


def test_the_schedule_equals_the_released_one() -> None:
    options = json.loads((_RECORDED / "cases.json").read_text())
    recorded = load_file(_RECORDED / "cases.safetensors")["schedule/lr"].tolist()
    schedule = Schedule(
        peak=1.0,
        num_steps=options["schedule/total_steps"],
        warmup_steps=options["schedule/warmup_steps"],
        min_ratio=options["schedule/lr_min_ratio"],
        cycle_length=options["schedule/cycle_length"],
    )
    assert [schedule.learning_rate(step) for step in range(len(recorded))] == pytest.approx(recorded, abs=1e-6)


@given(num_steps=st.integers(1, 200), warmup_share=st.floats(0, 1), min_ratio=st.floats(0, 1))
def test_the_rate_rises_through_warm_up_and_never_after(num_steps: int, warmup_share: float, min_ratio: float) -> None:
    warmup = int(warmup_share * num_steps)
    schedule = Schedule(3e-4, num_steps, warmup, min_ratio)
    rates = [schedule.learning_rate(step) for step in range(num_steps + 5)]
    assert all(early <= late for early, late in pairwise(rates[: warmup + 1]))
    after = rates[warmup:]
    assert all(early >= late - 1e-12 for early, late in pairwise(after))
    assert max(rates) == pytest.approx(3e-4)
    assert rates[-1] == pytest.approx(3e-4 * min_ratio)


def test_a_warm_up_longer_than_the_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="warm-up of 11 steps in a phase of 10"):
        Schedule(1e-3, 10, 11)
