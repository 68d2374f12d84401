"""The counter-based noise: equal to SplitMix64 in plain integers, uniform, and different wherever a counter differs."""

import hypothesis
import numpy as np
import torch
from hypothesis import strategies
from scipy import stats

from levo.model.sampling.noise import MAX_SEED, uniform

_MASK = 2**64 - 1


def mixed(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def slow_uniform(seed: int, frame: int, stream: int) -> float:
    state = mixed((mixed(seed) + (frame + 1) * 0xC2B2AE3D27D4EB4F) & _MASK)
    return (mixed((state + (stream + 1) * 0x9E3779B97F4A7C15) & _MASK) >> 11) * 2.0**-53


def noise(seeds: list[int], frames: list[int]) -> torch.Tensor:
    columns = torch.tensor(frames)[:, None].expand(-1, 3)
    return uniform(torch.tensor(seeds)[:, None], columns, torch.arange(3))


@hypothesis.given(seed=strategies.integers(0, MAX_SEED), frame=strategies.integers(-300, 10000))
def test_noise_equals_splitmix_in_plain_integers(seed: int, frame: int) -> None:
    assert noise([seed], [frame])[0].tolist() == [slow_uniform(seed, frame, stream) for stream in range(3)]


def test_noise_is_uniform_over_seeds_frames_and_streams() -> None:
    seeds, frames = np.meshgrid(np.arange(100), np.arange(100))
    values = noise(seeds.ravel().tolist(), frames.ravel().tolist()).numpy()
    assert 0 <= values.min() <= values.max() < 1
    assert len(np.unique(values)) == values.size
    for stream in range(3):
        assert stats.kstest(values[:, stream], "uniform").pvalue > 0.001
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.03
