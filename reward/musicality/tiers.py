"""LeVo 2's five musicality tiers as quantiles of a corpus's own scores."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from levo.song.description import MusicalityTier

_WORST_FIRST = tuple(reversed(MusicalityTier))


@dataclass(frozen=True, slots=True)
class TierQuantiles:
    """The four scores that separate the five tiers, lowest first."""

    cuts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.cuts) != len(MusicalityTier) - 1 or list(self.cuts) != sorted(self.cuts):
            raise ValueError(f"cuts {self.cuts}; expected {len(MusicalityTier) - 1} in rising order")


def tier_quantiles(scores: Sequence[float], shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8)) -> TierQuantiles:
    """Cuts at the given shares of a corpus's scores, by default five equal parts. `ValueError` without scores."""
    if not scores:
        raise ValueError("no scores; tiers are quantiles of a corpus that has some")
    return TierQuantiles(tuple(float(cut) for cut in np.quantile(np.array(scores), shares)))


def musicality_tier(score: float, quantiles: TierQuantiles) -> MusicalityTier:
    """The tier of a score; one that equals a cut belongs to the tier below it."""
    return _WORST_FIRST[bisect_left(quantiles.cuts, score)]
