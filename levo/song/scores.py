"""Scores of a generated song: a missing score is missing, with its reason, and never zero."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Axis(StrEnum):
    """A preference that songs are compared on."""

    LYRIC = "lyric"
    PROMPT = "prompt"
    MUSICALITY = "musicality"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a score's name means: its direction, its unit, and whether its judge may make pairs."""

    name: str
    better: str
    unit: str
    judge: str

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher"):
            raise ValueError(f"metric {self.name}: better is {self.better!r}; expected 'lower' or 'higher'")
        if self.judge not in ("training", "held_out"):
            raise ValueError(f"metric {self.name}: judge is {self.judge!r}; expected 'training' or 'held_out'")

    def gain(self, difference: float) -> float:
        """A difference of this metric counted in the direction that is better."""
        return difference if self.better == "higher" else -difference


@dataclass(frozen=True, slots=True)
class Score:
    """One judge's number for one song, or the reason why there is none."""

    value: float | None
    missing: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.missing is None):
            raise ValueError(f"score with value {self.value} and reason {self.missing!r}; expected exactly one of them")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"score {self.value} is not finite; give a reason instead")


def missing_score(reason: str) -> Score:
    """A score that could not be given."""
    return Score(None, reason)


Scores = Mapping[str, Score]
