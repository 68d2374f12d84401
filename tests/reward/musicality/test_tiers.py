import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.description import MusicalityTier
from reward.musicality.tiers import TierQuantiles, musicality_tier, tier_quantiles


def test_a_hundred_evenly_spread_scores_fall_into_five_equal_tiers() -> None:
    scores = [float(score) for score in range(100)]
    tiers = [musicality_tier(score, tier_quantiles(scores)) for score in scores]
    assert [tiers.count(tier) for tier in MusicalityTier] == [20] * 5
    assert (tiers[0], tiers[-1]) == (MusicalityTier.VERY_LOW, MusicalityTier.VERY_HIGH)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-6, 6), st.floats(-6, 6))
def test_a_better_score_is_never_in_a_worse_tier(scores: list[float], one: float, other: float) -> None:
    order = list(MusicalityTier)
    quantiles = tier_quantiles(scores)
    best, worst = max(one, other), min(one, other)
    assert order.index(musicality_tier(best, quantiles)) <= order.index(musicality_tier(worst, quantiles))


def test_no_scores_or_falling_cuts_are_refused() -> None:
    with pytest.raises(ValueError, match="no scores"):
        tier_quantiles([])
    with pytest.raises(ValueError, match="rising order"):
        TierQuantiles((1.0, 0.0, 2.0, 3.0))
