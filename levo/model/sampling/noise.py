"""The noise of sampling: one uniform number a (seed, frame, stream), whatever else is being sampled.

The counter is hashed by SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

MAX_SEED = 2**63 - 1
# SplitMix64's 64-bit constants as int64, whose products wrap around as its own do.
_STREAM_STRIDE, _FRAME_STRIDE = -0x61C8864680B583EB, -0x3D4D51C2D82B14B1
_FIRST_FACTOR, _SECOND_FACTOR = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def uniform(
    seeds: Int64[Tensor, "row 1"], frames: Int64[Tensor, "row stream"], streams: Int64[Tensor, " stream"]
) -> Float64[Tensor, "row stream"]:
    """A number in [0, 1) for every row and stream, with 53 random bits."""
    state = _mixed(_mixed(_mixed(seeds) + (frames + 1) * _FRAME_STRIDE) + (streams + 1) * _STREAM_STRIDE)
    return _shifted_right(state, 11).double() * 2.0**-53


def _mixed(x: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    x = (x ^ _shifted_right(x, 30)) * _FIRST_FACTOR
    x = (x ^ _shifted_right(x, 27)) * _SECOND_FACTOR
    return x ^ _shifted_right(x, 31)


def _shifted_right(x: Int64[Tensor, "*shape"], bits: int) -> Int64[Tensor, "*shape"]:
    return torch.bitwise_right_shift(x, bits) & ((1 << (64 - bits)) - 1)
