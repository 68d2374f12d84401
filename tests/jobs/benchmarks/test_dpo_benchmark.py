"""Our preference step gives TRL's losses, where TRL is installed."""

import pytest

from jobs.benchmarks.dpo import PreferenceSetting, run_ours, run_trl

SMALL = PreferenceSetting(
    width=32, num_heads=2, inner_width=48, num_layers=2, num_classes=50, prefix_length=9, num_codes=6, num_steps=3
)


def test_a_reference_on_file_and_one_that_runs_give_one_loss() -> None:
    assert run_ours(SMALL, is_stored=True).value == run_ours(SMALL, is_stored=False).value


@pytest.mark.parametrize("is_stored", [False, True])
def test_after_equal_steps_the_losses_are_trls(is_stored: bool) -> None:
    pytest.importorskip("trl", reason="TRL is not installed: pip install levo[bench]")
    ours, trl = run_ours(SMALL, is_stored=is_stored), run_trl(SMALL, is_stored=is_stored)
    assert ours.value == pytest.approx(trl.value, abs=1e-6)
    assert len(ours.seconds) == len(trl.seconds) == SMALL.num_steps - 1
