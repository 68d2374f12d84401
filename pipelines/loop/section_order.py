"""Whether a song sings its sections in the order that was asked for, judged from the phonemes heard in it.

A section is found in a stretch of the song whose edits (Sellers 1980) are at most half of the section's phonemes.
Sections come in order where each is found in a stretch that begins after the one before has ended. Of the stretches
that are good enough the earliest is taken, since a chorus comes more than once.
"""

from collections.abc import Sequence

import numpy as np

_MOST_WRONG = 0.5


def earliest_end(section: Sequence[str], heard: Sequence[str], start: int = 0) -> int | None:
    """Where the earliest stretch of `heard` ends that begins at `start` or later and in which the section is found.

    The end is where going on makes the stretch no better, so that half a section is not taken for one sung in full.
    None where it is not found; raises `ValueError` for an empty section.
    """
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
    good = np.flatnonzero(row <= _MOST_WRONG * len(section))
    if not len(good):
        return None
    end = int(good[0])
    while end + 1 < len(row) and row[end + 1] <= row[end]:
        end += 1
    return start + end


def sections_in_order(sections: Sequence[Sequence[str]], heard: Sequence[str]) -> bool:
    """Whether every section is heard, each after the one before; without sections nothing is out of order."""
    start = 0
    for section in sections:
        end = earliest_end(section, heard, start)
        if end is None:
            return False
        start = end
    return True
