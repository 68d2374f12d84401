"""The shapes of a running batch, and what it keeps keys and values in."""

from dataclasses import dataclass

import torch

from levo.model.config import LeLMConfig
from levo.model.kv_cache import KVCache, RowCaches
from levo.model.lelm import LeLM
from levo.model.shared_cache import SharedPrefixCache


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthClass:
    """The shapes of one lane: its rows, the longest song and prefix, and how many prefixes are computed at once.

    With `rows_per_prefix`, so many neighbouring rows share one copy of their prefix, and a step attends to as much of
    the songs as the longest has sung: for candidates of the same prompt, and for long songs. Without it every row has
    its own copy, and a step attends to all there is room for: in fewer operations, for short songs of many prompts.
    """

    num_rows: int
    max_frames: int
    max_prefix: int
    prefill_rows: int = 8
    rows_per_prefix: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_rows", "max_frames", "max_prefix", "prefill_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"length class: {name} is {getattr(self, name)}; expected at least 1")
        if self.rows_per_prefix is not None and (self.rows_per_prefix < 1 or self.num_rows % self.rows_per_prefix):
            raise ValueError(
                f"length class: rows_per_prefix is {self.rows_per_prefix}; expected a divisor of {self.num_rows} rows"
            )

    @property
    def rows_per_slot(self) -> int:
        """Rows that must begin alike."""
        return self.rows_per_prefix or 1


def num_columns(config: LeLMConfig, length_class: LengthClass, steps_per_look: int) -> int:
    """Columns that a lane holds: the longest song's, and those that it runs on for until its end is noticed."""
    return length_class.max_frames + config.max_delay + steps_per_look


def checked_room(config: LeLMConfig, length_class: LengthClass) -> int:
    """The positions that the model has; raises `ValueError` where a song of the class needs more."""
    room = min(config.max_positions, config.max_decoder_positions)
    needed = config.prefix_length + 1 + config.max_delay + length_class.max_frames
    if needed > room:
        raise ValueError(f"{length_class} needs {needed} positions; the model has {room}")
    if config.prefix_padding == "attended" and length_class.max_prefix != config.prefix_length:
        raise ValueError(f"{length_class}: this model's prefix is always {config.prefix_length} positions long")
    return room


def cache_dtype(model_dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """What keys and values are kept in: on a CPU they are multiplied in float32, and converting them takes longer."""
    return torch.float32 if device.type == "cpu" else model_dtype


def row_caches(model: LeLM, length_class: LengthClass, num_layers: int, columns: int) -> RowCaches:
    """Empty caches of one tower."""
    dtype = cache_dtype(model.dtype, model.device)
    config, rows_per_slot = model.config, length_class.rows_per_prefix
    if rows_per_slot is None:
        return KVCache(
            num_layers=num_layers,
            num_rows=length_class.num_rows,
            num_heads=config.num_heads,
            num_positions=length_class.max_prefix + columns,
            head_width=config.head_width,
            dtype=dtype,
            device=model.device,
        )
    return SharedPrefixCache(
        num_layers=num_layers,
        num_rows=length_class.num_rows,
        rows_per_slot=rows_per_slot,
        num_heads=config.num_heads,
        num_prefix_positions=length_class.max_prefix,
        num_song_positions=columns,
        head_width=config.head_width,
        dtype=dtype,
        device=model.device,
    )
