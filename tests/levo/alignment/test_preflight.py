"""The preflight's judgements: each fault found on facts that have it, and nothing said of facts that have none."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.alignment.pairs import PairExample, PairStore, write_pairs
from levo.alignment.preflight import (
    CHANCE_LOSS,
    LIMITS,
    PairFacts,
    PairRewards,
    PreflightReport,
    judge_pairs,
    judge_start,
    judge_trial,
    pair_facts,
    sign_test,
)
from levo.song.arrays import Array

NUM_PAIRS = 40


def healthy_facts(num_pairs: int = NUM_PAIRS, gain: float = 1.0) -> PairFacts:
    """Every other chosen song is the longer one."""
    frames = np.full(num_pairs, 100, np.int64)
    return PairFacts(
        chosen_frames=frames + np.where(np.arange(num_pairs) % 2, 3, -3),
        rejected_frames=frames,
        is_hidden=np.zeros(num_pairs, np.bool_),
        gains=np.full(num_pairs, gain),
    )


def rewards(chosen: float, rejected: float, spread: float = 0.0, num_pairs: int = NUM_PAIRS) -> PairRewards:
    noise = np.random.default_rng(0).normal(0, spread, (2, num_pairs)) if spread else np.zeros((2, num_pairs))
    return PairRewards(chosen + noise[0], rejected + noise[1])


def is_silent(report: PreflightReport) -> bool:
    return (report.problems, report.warnings) == ((), ())


@given(st.integers(1, 300), st.floats(1e-6, 1e3))
def test_healthy_pairs_are_let_pass_in_silence(num_pairs: int, gain: float) -> None:
    report = judge_pairs(healthy_facts(2 * num_pairs, gain))
    assert is_silent(report)
    assert report.is_ready
    assert report.measures["chosen_longer_share"] == 0.5


@given(st.integers(1, NUM_PAIRS))
def test_swapped_pairs_are_found_however_few(num_swapped: int) -> None:
    facts = healthy_facts()
    facts.gains[:num_swapped] *= -1
    (problem,) = judge_pairs(facts).problems
    assert problem.startswith(f"swapped pairs: in {num_swapped / NUM_PAIRS:.1%} of {NUM_PAIRS} pairs")


def test_ties_are_not_swapped_and_pairs_without_scores_are_told() -> None:
    facts = healthy_facts()
    facts.gains[0] = 0.0
    facts.gains[1:3] = math.nan
    report = judge_pairs(facts)
    assert report.is_ready
    assert [warning.partition(":")[0] for warning in report.warnings] == ["scores"]


@given(st.integers(1, NUM_PAIRS))
def test_pairs_whose_difference_is_cut_away_are_a_warning_and_then_a_problem(num_hidden: int) -> None:
    facts = healthy_facts()
    facts.is_hidden[:num_hidden] = True
    report = judge_pairs(facts)
    told = report.problems if num_hidden / NUM_PAIRS > LIMITS.max_hidden_share else report.warnings
    assert [text.partition(":")[0] for text in told] == ["truncation"]


@given(st.integers(20, 400), st.booleans())
def test_a_length_that_tells_the_chosen_song_is_a_problem(num_pairs: int, is_longer: bool) -> None:
    facts = healthy_facts(num_pairs)
    longer = facts.rejected_frames + (5 if is_longer else -5)
    (problem,) = judge_pairs(replace(facts, chosen_frames=longer)).problems
    assert problem.startswith("lengths:")
    assert ("+5.0" if is_longer else "-5.0") in problem


def test_a_leaning_length_is_a_warning_and_chance_is_nothing() -> None:
    def report(num_longer: int, num_pairs: int) -> PreflightReport:
        facts = healthy_facts(num_pairs)
        step = np.where(np.arange(num_pairs) < num_longer, 4, -4)
        return judge_pairs(replace(facts, chosen_frames=facts.rejected_frames + step))

    assert [text.partition(":")[0] for text in report(140, 200).warnings] == ["lengths"]
    assert report(140, 200).is_ready
    assert is_silent(report(104, 200))
    assert is_silent(report(4, 4))


def test_the_sign_test_is_the_sum_of_binomials() -> None:
    for above, below in product(range(12), repeat=2):
        num = above + below
        tail = sum(Fraction(math.comb(num, k), 2**num) for k in range(min(above, below) + 1))
        assert sign_test(above, below) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)
    assert sign_test(5000, 5000) == 1.0
    assert 0 < sign_test(5200, 4800) < 1e-4


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_policy_that_is_not_its_reference_is_found_by_the_size_of_its_rewards(chosen: float, rejected: float) -> None:
    report = judge_start(rewards(chosen, rejected))
    size = (abs(chosen) + abs(rejected)) / 2
    assert report.measures["initial_reward"] == pytest.approx(size)
    assert report.is_ready is (report.measures["initial_reward"] <= LIMITS.max_initial_reward)


def test_rounding_at_the_start_is_let_pass_and_what_is_no_number_is_not() -> None:
    report = judge_start(rewards(0.0, 0.0, spread=0.01))
    assert is_silent(report)
    assert report.measures["initial_loss"] == pytest.approx(CHANCE_LOSS, abs=0.01)
    assert not judge_start(rewards(math.nan, 0.0)).is_ready


@given(st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4))
def test_a_loss_that_stays_at_ln_2_is_stuck(chosen: float, rejected: float) -> None:
    (problem,) = judge_trial(rewards(chosen, rejected)).problems
    assert problem.startswith("stuck:")


@given(st.floats(0.01, 10.0), st.floats(0.0, 10.0))
def test_a_trial_that_wins_its_margin_on_both_sides_is_let_pass_in_silence(margin: float, chosen: float) -> None:
    report = judge_trial(rewards(chosen, chosen - margin, spread=margin / 20))
    assert is_silent(report)
    assert report.measures["trial_accuracy"] == 1.0


@given(st.floats(0.05, 10.0), st.floats(1.05, 5.0))
def test_chosen_songs_that_fall_by_more_than_is_won_are_a_collapse(margin: float, share: float) -> None:
    (problem,) = judge_trial(rewards(-share * margin, -(share + 1) * margin)).problems
    assert problem.startswith("collapse:")


def test_chosen_songs_that_fall_a_little_are_a_warning() -> None:
    report = judge_trial(rewards(-0.1, -0.4))
    assert report.is_ready
    assert [text.partition(":")[0] for text in report.warnings] == ["collapse"]
    assert is_silent(judge_trial(rewards(-0.01, -0.02)))


@given(st.floats(0.02, 20.0))
def test_a_loss_that_rises_or_is_no_number_is_a_problem(margin: float) -> None:
    assert "rises" in judge_trial(rewards(0.0, margin)).problems[0]
    assert "expected a number" in judge_trial(rewards(math.nan, margin)).problems[0]


def test_a_margin_that_a_few_pairs_carry_is_a_warning() -> None:
    found = rewards(0.001, 0.002)
    found.chosen[:10] = 2.0
    report = judge_trial(found)
    assert report.is_ready
    assert "25% of the pairs" in report.warnings[0]


def test_the_loss_is_dpos_written_out() -> None:
    found = PairRewards(np.array([1.0, -2.0]), np.array([0.5, -1.0]))
    assert found.loss == pytest.approx((math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(1.0))) / 2)
    assert found.accuracy == 0.5


def test_reports_add_up() -> None:
    found = PreflightReport(("a",), ("b",), {"x": 1.0}) + PreflightReport((), ("c",), {"y": 2.0})
    assert found == PreflightReport(("a",), ("b", "c"), {"x": 1.0, "y": 2.0})


def song(seed: int, num_frames: int = 12) -> Array:
    return np.random.default_rng(seed).integers(0, 24, (3, num_frames)).astype(np.int32)


def pair(name: str, chosen: Array, rejected: Array, *ended: bool) -> PairExample:
    return PairExample(name, "[verse] sun.", "slow", None, chosen, rejected, *(ended or (True, True)))


def test_facts_are_read_from_a_store(tmp_path: Path) -> None:
    start, other = song(0), song(1)
    late = np.concatenate([start[:, :8], other[:, :4]], axis=1)
    longer = np.concatenate([start, other[:, :1]], axis=1)
    store: PairStore = write_pairs(
        [
            pair("late", start, late),
            pair("early", start, other),
            pair("longer", longer, start),
            pair("ended", start, start, True, False),
            pair("reversed", other, start),
        ],
        tmp_path / "pairs",
    )
    facts = pair_facts(store, {"late": 0.5, "early": -1.0}, max_frames=8)
    assert facts.is_hidden.tolist() == [True, False, True, True, False]
    assert pair_facts(store, {}).is_hidden.tolist() == [False] * 5
    assert pair_facts(store, {}, max_frames=12).is_hidden.tolist() == [False] * 5
    assert facts.chosen_frames.tolist() == [12, 12, 13, 12, 12]
    assert facts.rejected_frames.tolist() == [12, 12, 12, 12, 12]
    np.testing.assert_array_equal(facts.gains, [0.5, -1.0, math.nan, math.nan, math.nan])
    assert facts.num_contradicted == 2
    assert "contradictions: 2 pairs" in " ".join(judge_pairs(facts).problems)
