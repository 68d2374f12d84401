from pathlib import Path

import numpy as np
import pytest

from reward.rater_trial import read_ratings, run_rater_trial

RATINGS = Path(__file__).parents[2].parent / "shared" / "data" / "music_ratings.jsonl"


def test_raters_who_agree_wholly_make_no_wrong_pair() -> None:
    ratings = np.repeat(np.random.default_rng(0).permutation(120).astype(np.float64).reshape(-1, 1), 10, axis=1)
    trial = run_rater_trial(ratings, "Content_Enjoyment", seed=0, num_rounds=5)
    assert (trial.kept_share, trial.wrong_share_rule, trial.wrong_share_max_min) == (1.0, 0.0, 0.0)


def test_raters_who_say_nothing_about_the_clip_are_wrong_half_the_time_whatever_the_rule() -> None:
    ratings = np.random.default_rng(0).normal(size=(600, 10))
    trial = run_rater_trial(ratings, "Content_Enjoyment", seed=0, num_rounds=30)
    assert trial.wrong_share_rule == pytest.approx(0.5, abs=0.05)
    assert trial.wrong_share_max_min == pytest.approx(0.5, abs=0.05)


def test_on_real_raters_the_rule_makes_fewer_wrong_pairs_than_max_min_at_equal_share() -> None:
    if not RATINGS.exists():
        pytest.skip(f"no ratings at {RATINGS}")
    trial = run_rater_trial(read_ratings(RATINGS, "Content_Enjoyment"), "Content_Enjoyment", seed=0, num_rounds=20)
    assert trial.num_clips == 1_000
    assert 0.5 < trial.kept_share < 1.0
    assert trial.difference.high < 0


def test_one_scoring_rater_or_an_unknown_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 scoring raters of 10"):
        run_rater_trial(np.zeros((20, 10)), "Content_Enjoyment", seed=0, num_scoring_raters=1)
    with pytest.raises(ValueError, match="'Loudness'"):
        read_ratings(tmp_path / "absent.jsonl", "Loudness")
