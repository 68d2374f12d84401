"""A preallocated key-value cache in which every row stands at its own position, and the two ways to write to it."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from levo.model.attention import attention


class CacheWriter(Protocol):
    """Where one layer of a running tower puts its keys and values, and what its queries then attend to."""

    def attend(
        self,
        queries: Float[Tensor, "row head position head_width"],
        keys: Float[Tensor, "row head position head_width"],
        values: Float[Tensor, "row head position head_width"],
    ) -> Float[Tensor, "row head position head_width"]:
        """Store new keys and values, and attend to those and all earlier ones."""
        ...


class RowCaches(Protocol):
    """One tower's keys and values for the rows of a batch, whatever they share."""

    def prefill(self, rows: Int[Tensor, " row"], sources: Int[Tensor, " row"]) -> list[CacheWriter]:
        """Writers that put whole sequences, from position 0, before `rows`: for each the one that `sources` names."""
        ...

    def step(
        self, prefix_lengths: Int[Tensor, " row"], columns: Int[Tensor, " row"], longest: int
    ) -> list[CacheWriter]:
        """Writers that add one position to every row, its prefix and so many columns after the start.

        `longest` is the furthest column of any row, known without looking at the device.
        """
        ...

    def extent(self, longest: int) -> int:
        """How much of the songs such a step reads; steps of one extent have the same operations and shapes."""
        ...


class KVCache:
    """Keys and values of one tower's layers, [layer, row, head, position, head_width], at fixed addresses.

    Every row has a copy of its prefix, and its song behind it.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_rows: int,
        num_heads: int,
        num_positions: int,
        head_width: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (num_layers, num_rows, num_heads, num_positions, head_width)
        self.keys: Float[Tensor, "layer row head position head_width"] = torch.zeros(shape, dtype=dtype, device=device)
        self.values: Float[Tensor, "layer row head position head_width"] = torch.zeros_like(self.keys)

    def prefill(self, rows: Int[Tensor, " row"], sources: Int[Tensor, " row"]) -> list[CacheWriter]:
        """Writers that put whole sequences, from position 0, into `rows`: into each the sequence that `sources` names.

        Rows that begin alike share a sequence.
        """
        return [
            _PrefillWriter(keys, values, rows, sources) for keys, values in zip(self.keys, self.values, strict=True)
        ]

    def extent(self, longest: int) -> int:
        """Always all of them."""
        del longest
        return 0

    def step(
        self, prefix_lengths: Int[Tensor, " row"], columns: Int[Tensor, " row"], longest: int
    ) -> list[CacheWriter]:
        """Writers that add one position to every row; what lies ahead of a row's position is masked.

        All positions of the cache are attended to, however few are taken: fewer keys would round differently.
        """
        del longest
        positions = prefix_lengths + columns
        is_ahead = torch.arange(self.keys.shape[3], device=positions.device) > positions[:, None]
        bias = torch.zeros(is_ahead.shape, dtype=self.keys.dtype, device=positions.device)
        bias = bias.masked_fill(is_ahead, -torch.inf)[:, None, None]
        rows = torch.arange(len(positions), device=positions.device)
        return [
            _StepWriter(keys, values, rows, positions, bias)
            for keys, values in zip(self.keys, self.values, strict=True)
        ]


class _PrefillWriter:
    def __init__(self, keys: Tensor, values: Tensor, rows: Tensor, sources: Tensor) -> None:
        self._keys, self._values, self._rows, self._sources = keys, values, rows, sources

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        length = keys.shape[2]
        self._keys[self._rows, :, :length] = keys[self._sources].to(self._keys.dtype)
        self._values[self._rows, :, :length] = values[self._sources].to(self._values.dtype)
        return attention(queries, keys, values, None)


class _StepWriter:
    def __init__(self, keys: Tensor, values: Tensor, rows: Tensor, positions: Tensor, bias: Tensor) -> None:
        self._keys, self._values, self._rows, self._positions, self._bias = keys, values, rows, positions, bias

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        self._keys[self._rows, :, self._positions] = keys[:, :, 0].to(self._keys.dtype)
        self._values[self._rows, :, self._positions] = values[:, :, 0].to(self._values.dtype)
        return attention(queries.to(self._keys.dtype), self._keys, self._values, self._bias).to(queries.dtype)
