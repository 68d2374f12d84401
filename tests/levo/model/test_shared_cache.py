"""The shared-prefix cache gives what the plain one does, to rounding; a row's bits do not depend on the others."""

import pytest
import torch

from levo.model.kv_cache import KVCache
from levo.model.shared_cache import PIECE_POSITIONS, SharedPrefixCache

NUM_SLOTS, ROWS_PER_SLOT, NUM_HEADS, HEAD_WIDTH, PREFIX, SONG = 3, 4, 4, 32, 40, 500
NUM_ROWS = NUM_SLOTS * ROWS_PER_SLOT


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shared_cache(dtype: torch.dtype = torch.float32) -> SharedPrefixCache:
    return SharedPrefixCache(
        num_layers=1,
        num_rows=NUM_ROWS,
        rows_per_slot=ROWS_PER_SLOT,
        num_heads=NUM_HEADS,
        num_prefix_positions=PREFIX,
        num_song_positions=SONG,
        head_width=HEAD_WIDTH,
        dtype=dtype,
        device=torch.device("cpu"),
    )


def plain_cache() -> KVCache:
    return KVCache(
        num_layers=1,
        num_rows=NUM_ROWS,
        num_heads=NUM_HEADS,
        num_positions=PREFIX + SONG,
        head_width=HEAD_WIDTH,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )


def fed(
    cache: SharedPrefixCache | KVCache, lengths: list[int], num_columns: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """The last column's attention after prefixes and columns drawn from fixed seeds."""
    rows = torch.arange(NUM_ROWS)
    prefixes = normal(3, NUM_SLOTS, NUM_HEADS, PREFIX, HEAD_WIDTH, seed=0).to(dtype)
    (writer,) = cache.prefill(rows, rows // ROWS_PER_SLOT)
    writer.attend(*prefixes)
    by_row = torch.tensor(lengths)[rows // ROWS_PER_SLOT]
    for column in range(num_columns):
        (writer,) = cache.step(by_row, torch.full((NUM_ROWS,), column), column)
        attended = writer.attend(*normal(3, NUM_ROWS, NUM_HEADS, 1, HEAD_WIDTH, seed=1 + column).to(dtype))
    return attended


@pytest.mark.parametrize("num_columns", [1, PIECE_POSITIONS, PIECE_POSITIONS + 1, 300])
def test_rows_attend_to_what_those_of_the_plain_cache_do(num_columns: int) -> None:
    lengths = [PREFIX, 1, 17]
    shared, plain = (fed(cache, lengths, num_columns) for cache in (shared_cache(), plain_cache()))
    torch.testing.assert_close(shared, plain, atol=2e-6, rtol=1e-5)


def test_a_row_is_the_same_bit_for_bit_however_far_its_neighbours_are() -> None:
    columns = [0, 5, PIECE_POSITIONS - 1, PIECE_POSITIONS, 300]
    for column in columns:
        found = []
        for others in (column, 0, PIECE_POSITIONS, 2 * PIECE_POSITIONS, SONG - 1):
            cache = shared_cache()
            for index, tensor in enumerate(vars(cache).values()):
                if isinstance(tensor, torch.Tensor):
                    tensor.copy_(normal(*tensor.shape, seed=index))
            at = torch.full((NUM_ROWS,), others)
            at[[1, 6, 11]] = column
            (writer,) = cache.step(torch.full((NUM_ROWS,), 20), at, int(at.max()))
            attended = writer.attend(*normal(3, NUM_ROWS, NUM_HEADS, 1, HEAD_WIDTH, seed=99))
            found.append(attended[[1, 6, 11]])
        assert all(torch.equal(one, found[0]) for one in found)


def test_a_bfloat16_cache_attends_as_finely_as_its_entries_are_stored() -> None:
    exact = fed(shared_cache(), [PREFIX] * 3, 150)
    rounded = fed(shared_cache(torch.bfloat16), [PREFIX] * 3, 150, torch.bfloat16)
    torch.testing.assert_close(rounded.float(), exact, atol=2e-2, rtol=0)


def test_rows_that_fill_no_slot_are_refused() -> None:
    with pytest.raises(ValueError, match="12 rows do not divide into slots of 5"):
        SharedPrefixCache(
            num_layers=1,
            num_rows=12,
            rows_per_slot=5,
            num_heads=1,
            num_prefix_positions=4,
            num_song_positions=4,
            head_width=8,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
