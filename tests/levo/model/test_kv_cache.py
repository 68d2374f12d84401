"""The key-value cache: every row at its own position, untouched by how far its neighbours are."""

import pytest
import torch

from levo.model.kv_cache import KVCache

NUM_ROWS, NUM_HEADS, HEAD_WIDTH, NUM_POSITIONS = 5, 4, 32, 700


def filled_cache() -> KVCache:
    cache = KVCache(
        num_layers=1,
        num_rows=NUM_ROWS,
        num_heads=NUM_HEADS,
        num_positions=NUM_POSITIONS,
        head_width=HEAD_WIDTH,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    generator = torch.Generator().manual_seed(0)
    cache.keys.normal_(generator=generator)
    cache.values.normal_(generator=generator)
    return cache


def column(seed: int) -> torch.Tensor:
    return torch.randn((3, NUM_ROWS, NUM_HEADS, 1, HEAD_WIDTH), generator=torch.Generator().manual_seed(seed))


def attended(cache: KVCache, positions: list[int]) -> torch.Tensor:
    queries, keys, values = column(1)
    (writer,) = cache.step(torch.zeros(NUM_ROWS, dtype=torch.int64), torch.tensor(positions), max(positions))
    return writer.attend(queries, keys, values)


@pytest.mark.parametrize("position", [0, 5, 126, 127, 128, 300])
def test_a_row_is_the_same_bit_for_bit_however_far_its_neighbours_are(position: int) -> None:
    near = attended(filled_cache(), [position] * NUM_ROWS)
    for other in (0, 127, 128, 255, 400, NUM_POSITIONS - 1):
        far = attended(filled_cache(), [position, other, other, other, position])
        assert torch.equal(near[[0, 4]], far[[0, 4]])


def test_a_row_attends_to_all_positions_up_to_its_own_and_to_no_other() -> None:
    positions = [0, 3, 127, 128, NUM_POSITIONS - 1]
    cache = filled_cache()
    result = attended(cache, positions)
    queries, keys, _ = column(1)
    for row, position in enumerate(positions):
        assert torch.equal(cache.keys[0, row, :, position], keys[row, :, 0])
        expected = torch.nn.functional.scaled_dot_product_attention(
            queries[row : row + 1],
            cache.keys[0, row : row + 1, :, : position + 1],
            cache.values[0, row : row + 1, :, : position + 1],
        )
        torch.testing.assert_close(result[row : row + 1], expected)


def test_prefilled_rows_leave_the_others_alone() -> None:
    cache = filled_cache()
    before = cache.keys.clone()
    keys = torch.arange(3.0)[:, None, None, None].expand(3, NUM_HEADS, 9, HEAD_WIDTH)
    (writer,) = cache.prefill(torch.tensor([4, 1, 0]), torch.tensor([1, 2, 1]))
    writer.attend(keys, keys, keys)
    assert torch.equal(cache.keys[0, [4, 1, 0], :, :9], keys[[1, 2, 1]])
    assert torch.equal(cache.keys[:, [2, 3]], before[:, [2, 3]])
    assert torch.equal(cache.keys[:, :, :, 9:], before[:, :, :, 9:])
