"""How much memory a lane takes, counted from shapes before anything is allocated, and how many rows fit."""

import math
from dataclasses import dataclass

import psutil
import torch

from levo.model.config import LeLMConfig

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
    *,
    num_rows: int,
    max_frames: int,
    max_prefix: int,
    prefill_rows: int,
    dtype: torch.dtype = torch.float32,
) -> LanePlan:
    """What a lane of these shapes takes."""
    layers = config.num_layers + config.num_decoder_layers
    columns = 1 + config.max_delay + max_frames
    per_position = _PREFILL_WIDTHS * config.width + _PREFILL_INNER_WIDTHS * config.feed_forward_width
    return LanePlan(
        caches=2 * layers * num_rows * (max_prefix + columns) * config.width * dtype.itemsize,
        prefill=prefill_rows * max_prefix * per_position * dtype.itemsize,
        choice=num_rows * len(config.delays) * config.num_classes * _CHOICE_BYTES,
    )


def rows_that_fit(
    config: LeLMConfig,
    *,
    available_bytes: int,
    most_rows: int,
    least_rows: int,
    max_frames: int,
    max_prefix: int,
    most_prefill_rows: int,
    dtype: torch.dtype = torch.float32,
) -> int:
    """The most rows, in steps of `least_rows` (what one song takes), that a lane may have in the memory there is.

    Raises `NoRoomError` where not even one song fits.
    """

    def needed(num_rows: int) -> int:
        plan = plan_lane(
            config,
            num_rows=num_rows,
            max_frames=max_frames,
            max_prefix=max_prefix,
            prefill_rows=min(num_rows, most_prefill_rows),
            dtype=dtype,
        )
        return math.ceil(plan.total / _USABLE)

    fitting = [rows for rows in range(least_rows, most_rows + 1, least_rows) if needed(rows) <= available_bytes]
    if not fitting:
        missing = needed(least_rows) - available_bytes
        raise NoRoomError(
            f"one song of {max_frames} frames needs {needed(least_rows) / 1e9:.2f} GB beside the weights, "
            f"{missing / 1e9:.2f} GB more than there is; ask for shorter songs, a narrower dtype, or more memory"
        )
    return fitting[-1]


def available_bytes(device: torch.device) -> int:
    """What a device has left for a lane, once the model is there."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
