"""What a lane takes is counted before it is allocated, and as many rows are taken as fit."""

from dataclasses import replace

import pytest
import torch

from levo.model.config import large_config
from levo.model.sampling.lane import Lane, LengthClass
from levo.model.sampling.memory_plan import NoRoomError, available_bytes, plan_lane, rows_that_fit
from levo.model.store import LoadedModel


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_caches_are_as_large_as_planned(loaded: LoadedModel, dtype: torch.dtype) -> None:
    model = LoadedModel(loaded.model.to(dtype), loaded.encoder, loaded.digest)
    lane = Lane(model, LengthClass(num_rows=6, prefill_rows=3, max_frames=100, max_prefix=40))
    loaded.model.to(torch.float32)
    held = sum(cache.keys.nbytes + cache.values.nbytes for cache in lane._caches)
    assert (
        plan_lane(model.model.config, num_rows=6, prefill_rows=3, dtype=dtype, max_frames=100, max_prefix=40).caches
        == held
    )


def test_the_released_large_model_takes_what_the_release_measured() -> None:
    # 5.8 GiB of cache for a guided song of 270 s in 16 bits.
    config = replace(large_config(), prefix_padding="attended")
    plan = plan_lane(
        config, num_rows=2, max_frames=6750, max_prefix=config.prefix_length, prefill_rows=2, dtype=torch.bfloat16
    )
    assert plan.caches / 2**30 == pytest.approx(5.8, abs=0.05)


def test_as_many_rows_are_taken_as_fit_and_no_more(loaded: LoadedModel) -> None:
    config = loaded.model.config

    def rows(available: float, least: int = 1) -> int:
        return rows_that_fit(
            config,
            available_bytes=int(available),
            most_rows=32,
            least_rows=least,
            most_prefill_rows=4,
            max_frames=100,
            max_prefix=40,
        )

    ten = plan_lane(config, num_rows=10, prefill_rows=4, max_frames=100, max_prefix=40).total / 0.9
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
