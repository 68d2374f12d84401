"""What a lane takes is counted before it is allocated, and as many rows are taken as fit."""

from dataclasses import replace

import pytest
import torch

from levo.model.config import large_config
from levo.model.sampling.lane import Lane
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.memory_plan import NoRoomError, available_bytes, lane_that_fits, plan_lane
from levo.model.store import LoadedModel

PLAIN = LengthClass(num_rows=6, prefill_rows=3, max_frames=100, max_prefix=40)
SHARED = replace(PLAIN, rows_per_prefix=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [PLAIN, SHARED], ids=["own prefixes", "shared"])
def test_the_caches_are_as_large_as_planned(loaded: LoadedModel, dtype: torch.dtype, length: LengthClass) -> None:
    model = LoadedModel(loaded.model.to(dtype), loaded.encoder, loaded.digest)
    lane = Lane(model, length)
    loaded.model.to(torch.float32)
    held = [tensor for cache in lane._caches for tensor in vars(cache).values() if isinstance(tensor, torch.Tensor)]
    assert plan_lane(model.model.config, length, dtype).caches == sum(tensor.nbytes for tensor in held)


def test_the_released_large_model_takes_what_the_release_measured() -> None:
    # 5.8 GiB of cache for a guided song of 270 s in 16 bits.
    config = replace(large_config(), prefix_padding="attended")
    length = LengthClass(num_rows=2, max_frames=6750, max_prefix=config.prefix_length, prefill_rows=2)
    for rows_per_prefix in (None, 1):
        plan = plan_lane(config, replace(length, rows_per_prefix=rows_per_prefix), torch.bfloat16, torch.device("cuda"))
        assert plan.caches / 2**30 == pytest.approx(5.8, abs=0.1)


def test_as_many_rows_are_taken_as_fit_and_no_more(loaded: LoadedModel) -> None:
    config = loaded.model.config
    largest = replace(PLAIN, num_rows=32, prefill_rows=4)

    def rows(available: float, least: int = 1) -> int:
        return lane_that_fits(config, largest, available_bytes=int(available), least_rows=least).num_rows

    ten = plan_lane(config, replace(largest, num_rows=10)).total / 0.9
    assert rows(ten + 2) == 10
    assert rows(ten - 2) == 9
    assert rows(ten - 2, least=2) == 8
    assert rows(1e12) == 32
    with pytest.raises(
        NoRoomError, match=r"one song of 100 frames needs \d\.\d\d GB beside the weights, \d\.\d\d GB more"
    ):
        rows(1000)


def test_a_device_tells_what_it_has_left() -> None:
    assert available_bytes(torch.device("cpu")) > 2**20
