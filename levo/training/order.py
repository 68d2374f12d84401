"""Which examples make batch k: a pure function of seed and k, with songs of like length together."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class BatchOrder:
    """An endless stream of batches over examples of the given lengths.

    Epoch after epoch, each a fresh permutation, is laid end to end and cut into buckets of `bucket_batches` batches; a
    bucket is sorted by length, cut into batches, and these are shuffled. So every example comes once an epoch, none is
    dropped, padding is small, and batch k needs nothing but `seed` and k: a resumed run sees what the first one would.
    """

    lengths: Int64[Array, " example"]
    batch_rows: int
    seed: int
    bucket_batches: int = 16

    def __post_init__(self) -> None:
        if self.lengths.size == 0:
            raise ValueError("no examples to order; expected at least one")

    def batch(self, index: int) -> Int64[Array, " row"]:
        """Indices of the examples in batch `index`, shortest first."""
        bucket, place = divmod(index, self.bucket_batches)
        bucket_rows = self.batch_rows * self.bucket_batches
        examples = self._examples(bucket * bucket_rows, bucket_rows)
        by_length = examples[np.lexsort((examples, self.lengths[examples]))]
        shuffled = np.random.default_rng([self.seed, 1, bucket]).permutation(self.bucket_batches)
        start = int(shuffled[place]) * self.batch_rows
        return by_length[start : start + self.batch_rows]

    def _examples(self, start: int, count: int) -> Int64[Array, " row"]:
        positions = np.arange(start, start + count)
        epochs, places = np.divmod(positions, self.lengths.size)
        permutations = [
            _permutation(self.lengths.size, self.seed, epoch)[places[epochs == epoch]]
            for epoch in range(int(epochs[0]), int(epochs[-1]) + 1)
        ]
        return np.concatenate(permutations)


@lru_cache(maxsize=4)
def _permutation(num_examples: int, seed: int, epoch: int) -> Int64[Array, " example"]:
    return np.random.default_rng([seed, 0, epoch]).permutation(num_examples).astype(np.int64)


def micro_batch_rows(num_rows: int, num_micro_batches: int, rank: int, world_size: int) -> list[slice]:
    """The slices of a batch that worker `rank` works on, one a micro-batch; like lengths stay together.

    Raises ValueError where the rows do not divide evenly.
    """
    pieces = num_micro_batches * world_size
    if num_rows % pieces:
        raise ValueError(
            f"{num_rows} rows do not divide into {num_micro_batches} micro-batches on {world_size} workers; "
            f"expected a multiple of {pieces}"
        )
    rows = num_rows // pieces
    starts = [(micro * world_size + rank) * rows for micro in range(num_micro_batches)]
    return [slice(start, start + rows) for start in starts]
