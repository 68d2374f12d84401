"""What sounds when: phonemes, words and sections with their times in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from levo.song.structure import StructureTag


@dataclass(frozen=True, slots=True)
class TimedPhoneme:
    """One phoneme and the span that it is heard in."""

    phoneme: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedWord:
    """One word and the span that it is heard in."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedSection:
    """One section and its span."""

    tag: StructureTag
    start_s: float
    end_s: float


def spread_evenly(names: Sequence[str], start_s: float, end_s: float) -> list[tuple[str, float, float]]:
    """Each name with an equal part of a span, in order: where it starts and ends."""
    edges_s = np.linspace(start_s, end_s, len(names) + 1).tolist()
    return [(name, start, end) for name, (start, end) in zip(names, pairwise(edges_s), strict=True)]
