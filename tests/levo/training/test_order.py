from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.training.order import BatchOrder, micro_batch_rows


@given(
    num_examples=st.integers(1, 60), batch_rows=st.integers(1, 9), bucket_batches=st.integers(1, 7), seed=st.integers(0)
)
def test_every_example_comes_equally_often(num_examples: int, batch_rows: int, bucket_batches: int, seed: int) -> None:
    order = BatchOrder(np.arange(num_examples) % 7, batch_rows, seed, bucket_batches)
    # A whole number of epochs that is also a whole number of buckets.
    num_batches = num_examples * bucket_batches
    seen = Counter(int(example) for k in range(num_batches) for example in order.batch(k))
    assert set(seen.values()) == {batch_rows * bucket_batches}
    assert len(seen) == num_examples


def test_a_batch_does_not_depend_on_those_asked_for_before() -> None:
    lengths = np.random.default_rng(0).integers(50, 150, 100)
    forwards = BatchOrder(lengths, 6, seed=3)
    first_run = [forwards.batch(k).tolist() for k in range(60)]
    resumed = BatchOrder(lengths, 6, seed=3)
    assert [resumed.batch(k).tolist() for k in reversed(range(60))] == first_run[::-1]
    assert [BatchOrder(lengths, 6, seed=4).batch(k).tolist() for k in range(60)] != first_run


def test_songs_of_like_length_share_a_batch() -> None:
    lengths = np.random.default_rng(0).integers(50, 150, 600)

    def padding(bucket_batches: int) -> int:
        order = BatchOrder(lengths, 6, 0, bucket_batches)
        batches = [lengths[order.batch(k)] for k in range(96)]
        return sum(int((batch.max() - batch).sum()) for batch in batches)

    assert padding(16) < 0.2 * padding(1)


def test_batches_of_a_bucket_come_in_no_order_of_length() -> None:
    lengths = np.arange(160)
    order = BatchOrder(lengths, 10, 0)
    shortest = [int(lengths[order.batch(k)].min()) for k in range(16)]
    assert sorted(shortest) != shortest


@given(micro_batches=st.integers(1, 4), world_size=st.integers(1, 4), rows=st.integers(1, 5))
def test_micro_batches_of_all_workers_make_the_batch(micro_batches: int, world_size: int, rows: int) -> None:
    num_rows = rows * micro_batches * world_size
    parts = [part for rank in range(world_size) for part in micro_batch_rows(num_rows, micro_batches, rank, world_size)]
    assert sorted(row for part in parts for row in range(num_rows)[part]) == list(range(num_rows))
    assert {part.stop - part.start for part in parts} == {rows}


def test_rows_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 4"):
        micro_batch_rows(6, 2, 0, 2)
