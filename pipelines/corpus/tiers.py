"""Musicality tiers of a corpus: a second pass, since a tier is a place among all songs."""

from collections.abc import Sequence

from levo.song.description import MusicalityTier
from levo.song.scores import Score
from reward.musicality.tiers import musicality_tier, tier_quantiles


def musicality_tiers(scores: Sequence[Score]) -> list[MusicalityTier | None]:
    """The tier of each score among all scores that are not missing; None where it is."""
    values = [score.value for score in scores if score.value is not None]
    if not values:
        return [None] * len(scores)
    quantiles = tier_quantiles(values)
    return [None if score.value is None else musicality_tier(score.value, quantiles) for score in scores]
