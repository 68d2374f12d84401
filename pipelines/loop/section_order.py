"""Whether a song sings its sections in the order that was asked for, judged from the phonemes heard in it.

Each sung section is looked for in the whole song by semi-global alignment (Sellers 1980): the stretch of the song with
the fewest edits per phoneme of the section. Sections come in order where every one is found, with at most half of its
phonemes wrong, and each stretch ends after the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_WRONG = 0.5


@dataclass(frozen=True, slots=True)
class FoundSection:
    """Where a section's best stretch ends, in heard phonemes, and its edits per phoneme."""

    end: int
    error_rate: float


def find_section(section: Sequence[str], heard: Sequence[str], start: int = 0) -> FoundSection:
    """The best stretch of `heard` from `start` on; raises `ValueError` for an empty section."""
    if not section:
        raise ValueError("a section without phonemes cannot be found")
    row = np.zeros(len(heard) - start + 1, dtype=np.int64)
    for phoneme in section:
        different = np.array([phoneme != other for other in heard[start:]], dtype=np.int64)
        stepped = np.minimum(row[:-1] + different, row[1:] + 1)
        following = np.concatenate([[row[0] + 1], stepped])
        # An insertion costs one for each heard phoneme passed: a running minimum of (cost - position).
        positions = np.arange(len(following))
        row = np.minimum.accumulate(following - positions) + positions
    end = int(row.argmin())
    return FoundSection(start + end, float(row[end]) / len(section))


def sections_in_order(sections: Sequence[Sequence[str]], heard: Sequence[str]) -> bool:
    """Whether every section is heard, each after the one before; without sections nothing is out of order."""
    end = 0
    for section in sections:
        found = find_section(section, heard, end)
        if found.error_rate > _MOST_WRONG:
            return False
        end = found.end
    return True
