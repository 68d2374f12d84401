"""How much memory a lane takes, counted from shapes before anything is allocated, and how many rows fit."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import psutil
import torch

from levo.model.config import LeLMConfig
from levo.model.sampling.length_class import LengthClass, cache_dtype, num_columns
from levo.model.shared_cache import PIECE_POSITIONS

_USABLE = 0.9
_CHOICE_BYTES = 40
"""Bytes a class of a row while codes are drawn: logits, the float64 distribution and its sums, masks."""
_PREFILL_WIDTHS, _PREFILL_INNER_WIDTHS = 8, 3
"""Vectors of a prefix position that are alive at once in a layer."""


class NoRoomError(ValueError):
    """Songs that do not fit into the memory there is; the message says how much is missing."""


@dataclass(frozen=True, slots=True)
class LanePlan:
    """Bytes of a lane, the model's weights aside."""

    caches: int
    prefill: int
    choice: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.caches + self.prefill + self.choice


def plan_lane(
    config: LeLMConfig,
    length_class: LengthClass,
    dtype: torch.dtype = torch.float32,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
) -> LanePlan:
    """What a lane of these shapes takes for a model of a dtype on a device."""
    layers = config.num_layers + config.num_decoder_layers
    num_rows, max_prefix = length_class.num_rows, length_class.max_prefix
    columns = num_columns(config, length_class, steps_per_look=1)
    if length_class.rows_per_prefix is None:
        positions = num_rows * (max_prefix + columns)
    else:
        pieces = PIECE_POSITIONS * math.ceil(columns / PIECE_POSITIONS)
        positions = num_rows // length_class.rows_per_prefix * max_prefix + num_rows * pieces
    per_position = _PREFILL_WIDTHS * config.width + _PREFILL_INNER_WIDTHS * config.feed_forward_width
    return LanePlan(
        caches=2 * layers * positions * config.width * cache_dtype(dtype, device).itemsize,
        prefill=length_class.prefill_rows * max_prefix * per_position * dtype.itemsize,
        choice=num_rows * len(config.delays) * config.num_classes * _CHOICE_BYTES,
    )


def lane_that_fits(
    config: LeLMConfig,
    largest: LengthClass,
    *,
    least_rows: int,
    available_bytes: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
) -> LengthClass:
    """`largest`, or the same with fewer rows, in steps of `least_rows` (what one song takes), for the memory there is.

    Raises `NoRoomError` where not even one song fits.
    """

    def of_rows(num_rows: int) -> LengthClass:
        return replace(largest, num_rows=num_rows, prefill_rows=min(num_rows, largest.prefill_rows))

    def needed(num_rows: int) -> int:
        return math.ceil(plan_lane(config, of_rows(num_rows), dtype, device).total / _USABLE)

    possible = range(least_rows, largest.num_rows + 1, least_rows)
    num_fitting = bisect_right(possible, available_bytes, key=needed)
    if not num_fitting:
        missing = needed(least_rows) - available_bytes
        raise NoRoomError(
            f"one song of {largest.max_frames} frames needs {needed(least_rows) / 1e9:.2f} GB beside the weights, "
            f"{missing / 1e9:.2f} GB more than there is; ask for shorter songs, a narrower dtype, or more memory"
        )
    return of_rows(possible[num_fitting - 1])


def available_bytes(device: torch.device) -> int:
    """What a device has left for a lane, once the model is there."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def chosen_device(name: str) -> torch.device:
    """A device by its name; raises `ValueError` where there is none of it here."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r}: {str(error).splitlines()[0]}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device
