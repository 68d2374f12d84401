"""Benchmarks at small sizes: both arms do the same work, and the figures are what they say."""

import json
import subprocess
import sys

import pytest

from jobs import bench_speed, cli
from jobs.bench_speed import Figure, Found
from jobs.benchmarks.arms import run_arm
from jobs.benchmarks.merge import MergeSetting, compare_merge
from jobs.benchmarks.training import ARMS, OURS, TRANSFORMERS, TrainingSetting, compare_training, prepared

SMALL = TrainingSetting(
    width=32, num_heads=2, inner_width=48, num_layers=2, num_classes=101, num_rows=2, num_positions=40, repeats=2
)


def test_both_arms_of_the_training_benchmark_take_the_same_steps() -> None:
    ours, theirs = prepared(OURS, SMALL), prepared(TRANSFORMERS, SMALL)
    for _ in range(4):
        assert ours() == pytest.approx(theirs(), rel=1e-5)


@pytest.mark.slow
def test_arms_run_in_processes_of_their_own() -> None:
    found = compare_training(SMALL, num_rounds=1)
    assert {arm: len(one.seconds) for arm, one in found.arms.items()} == dict.fromkeys(ARMS, 2)
    assert found.loss_difference < 1e-4
    ours, theirs = found.arms[OURS], found.arms[TRANSFORMERS]
    assert found.speed_ratio(OURS, TRANSFORMERS) == pytest.approx(theirs.median_s / ours.median_s)


def test_the_merger_of_three_small_models_is_exact_to_rounding() -> None:
    found = compare_merge(MergeSetting(width=64, num_layers=2, num_decoder_layers=1, code_size=64))
    assert found.largest_difference <= 3e-7
    assert found.model_bytes > 1e6


def test_an_arm_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)arm ours of jobs\.benchmarks\.training failed: .*num_attention_heads"):
        run_arm("jobs.benchmarks.training", OURS, {"num_heads": "many"})


def test_memory_is_counted_above_what_was_there() -> None:
    """In a process of its own, as arms are: the peak of this one is whatever tests before it held."""
    program = """
import torch
from jobs.benchmarks.arms import measured

def prepare():
    held = torch.ones(64 * 2**20)
    return lambda: float(held[0])

print(measured(prepare, 1).peak_bytes)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 240 * 2**20 <= int(done.stdout) <= 320 * 2**20


def test_figures_come_as_a_table_or_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Found((Figure("peak memory", 0.51234, "<= 1.2"),), "and more")
    monkeypatch.setitem(bench_speed.BENCHMARKS, "merge", lambda: found)
    assert cli.main(["bench", "merge"]) == 0
    assert "| peak memory | 0.5123 | <= 1.2 |\n\nand more" in capsys.readouterr().out
    assert cli.main(["bench", "merge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["peak memory"] == {"value": 0.51234, "goal": "<= 1.2"}
