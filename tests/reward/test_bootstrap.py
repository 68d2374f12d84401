import numpy as np
import pytest
from scipy import stats

from levo.song.scores import Score, missing_score
from reward.bootstrap import bootstrap_mean, paired_bootstrap, prompt_means


def test_the_interval_of_normal_values_is_the_closed_form_within_resampling_error() -> None:
    values = np.random.default_rng(0).normal(0.3, 2.0, 400)
    found = bootstrap_mean(values, seed=1, num_resamples=20_000)
    half = 1.959964 * values.std() / 400**0.5
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.015)
    assert found.high == pytest.approx(values.mean() + half, abs=0.015)


def test_skewed_values_get_scipys_bca_interval() -> None:
    values = np.random.default_rng(3).exponential(1.0, 60)
    ours = bootstrap_mean(values, seed=0, num_resamples=40_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(5))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_ninety_five_percent_intervals_cover_the_truth_about_that_often() -> None:
    generator = np.random.default_rng(7)
    covered = [
        found.low <= 1.0 <= found.high
        for index in range(400)
        for found in [bootstrap_mean(generator.exponential(1.0, 96), seed=index, num_resamples=1_000)]
    ]
    assert 0.915 <= np.mean(covered) <= 0.975


def test_pairing_removes_the_spread_between_prompts() -> None:
    generator = np.random.default_rng(2)
    prompts = {f"p{index}": value for index, value in enumerate(generator.normal(0, 5, 100))}
    better = {name: value - 0.1 + generator.normal(0, 0.05) for name, value in prompts.items()}
    found = paired_bootstrap(better, prompts, seed=0)
    assert found.interval.excludes_zero
    assert found.interval.high - found.interval.low < 0.05
    assert paired_bootstrap(prompts, prompts, seed=0).interval.high == 0.0


def test_the_same_seed_gives_the_same_interval_whatever_the_order_and_another_seed_moves_it() -> None:
    model = {f"p{index:02d}": float(value) for index, value in enumerate(np.random.default_rng(4).normal(size=30))}
    base = dict.fromkeys(model, 0.0)
    shuffled = dict(reversed(model.items()))
    assert paired_bootstrap(model, base, seed=1) == paired_bootstrap(shuffled, base, seed=1)
    assert paired_bootstrap(model, base, seed=1) != paired_bootstrap(model, base, seed=2)


def test_prompts_of_one_model_only_are_counted_and_left_out() -> None:
    found = paired_bootstrap({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.0, "b": 0.0, "d": 9.0}, seed=0)
    assert found.interval.mean == 1.5
    assert found.num_unpaired == 2


def test_missing_scores_are_counted_and_never_averaged_as_zero() -> None:
    scores = [
        ("a", Score(1.0)),
        ("a", missing_score("too short")),
        ("a", Score(3.0)),
        ("b", missing_score("too short")),
    ]
    found = prompt_means(scores)
    assert found.means == {"a": 2.0}
    assert found.missing == {"too short": 2}


def test_one_prompt_or_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_mean(np.array([1.0]), seed=0)
    with pytest.raises(ValueError, match="nan"):
        bootstrap_mean(np.array([1.0, np.nan]), seed=0)
