"""Edits between two rows of symbols: Levenshtein's table."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from levo.song.arrays import Array


def edit_distances(reference: Sequence[str], hypothesis: Sequence[str]) -> Int32[Array, "reference+1 hypothesis+1"]:
    """Cell [r, h]: the edits between the first r and the first h symbols; the last cell is the whole rows' distance.

    A row at a time: insertions along a row are a running minimum of cost minus column.
    """
    heard = np.array(list(hypothesis), dtype=object)
    columns = np.arange(len(hypothesis) + 1, dtype=np.int32)
    table = np.empty((len(reference) + 1, len(hypothesis) + 1), dtype=np.int32)
    table[0] = columns
    for row, symbol in enumerate(reference, start=1):
        above = table[row - 1]
        table[row, 0] = row
        table[row, 1:] = np.minimum(above[1:] + 1, above[:-1] + (heard != symbol))
        table[row] = np.minimum.accumulate(table[row] - columns) + columns
    return table
