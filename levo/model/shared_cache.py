"""A key-value cache in which rows with the same prefix share one copy of it, and songs take only what they have sung.

At every step a row attends to two things apart: the prefix, read once for all rows that share it, and its own song, in
pieces of fixed length of which those that no row has reached are left out. The parts are joined by the maximum of their
scores (arXiv 1805.02867). A piece that lies ahead of a row adds exact zeros to it, so that a row's numbers do not
depend on how far the others are.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from levo.model.attention import attention
from levo.model.kv_cache import CacheWriter

PIECE_POSITIONS = 128


class SharedPrefixCache:
    """Prefixes [layer, slot, head, position, head_width] and songs [layer, piece, row, head, position, head_width].

    Row r reads the prefix of slot r // `rows_per_slot`.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_rows: int,
        rows_per_slot: int,
        num_heads: int,
        num_prefix_positions: int,
        num_song_positions: int,
        head_width: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        if num_rows % rows_per_slot:
            raise ValueError(f"{num_rows} rows do not divide into slots of {rows_per_slot}")
        num_slots, num_pieces = num_rows // rows_per_slot, -(-num_song_positions // PIECE_POSITIONS)
        prefix = (num_layers, num_slots, num_heads, num_prefix_positions, head_width)
        song = (num_layers, num_pieces, num_rows, num_heads, PIECE_POSITIONS, head_width)
        self._rows_per_slot = rows_per_slot
        self._prefix_keys = torch.zeros(prefix, dtype=dtype, device=device)
        self._prefix_values = torch.zeros_like(self._prefix_keys)
        self._song_keys = torch.zeros(song, dtype=dtype, device=device)
        self._song_values = torch.zeros_like(self._song_keys)

    def prefill(self, rows: Int[Tensor, " row"], sources: Int[Tensor, " row"]) -> list[CacheWriter]:
        """Writers that put whole sequences into the slots of `rows`, whose rows must all begin alike."""
        slots = rows // self._rows_per_slot
        layers = zip(self._prefix_keys, self._prefix_values, strict=True)
        return [_PrefixWriter(keys, values, slots, sources) for keys, values in layers]

    def extent(self, longest: int) -> int:
        """The pieces of the songs that are reached."""
        return longest // PIECE_POSITIONS + 1

    def step(
        self, prefix_lengths: Int[Tensor, " row"], columns: Int[Tensor, " row"], longest: int
    ) -> list[CacheWriter]:
        """Writers that add one position to every row."""
        num_pieces = self.extent(longest)
        taken = prefix_lengths.view(-1, self._rows_per_slot).amax(dim=1)
        places = torch.arange(num_pieces * PIECE_POSITIONS, device=columns.device).view(num_pieces, 1, -1)
        prefix_places = torch.arange(self._prefix_keys.shape[3], device=columns.device)
        step = _Step(
            rows=torch.arange(len(columns), device=columns.device),
            piece=columns // PIECE_POSITIONS,
            place=columns % PIECE_POSITIONS,
            prefix_bias=_bias(prefix_places >= taken[:, None])[:, None, None],
            song_bias=_bias(places > columns[:, None])[:, :, None, None],
            num_pieces=num_pieces,
            rows_per_slot=self._rows_per_slot,
        )
        layers = zip(self._prefix_keys, self._prefix_values, self._song_keys, self._song_values, strict=True)
        return [_SongWriter(*layer, step) for layer in layers]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """What all layers' writers of a step know: where each row writes, and what it may not see."""

    rows: Int[Tensor, " row"]
    piece: Int[Tensor, " row"]
    place: Int[Tensor, " row"]
    prefix_bias: Float[Tensor, "slot 1 1 position"]
    song_bias: Float[Tensor, "piece row 1 1 position"]
    num_pieces: int
    rows_per_slot: int


class _PrefixWriter:
    def __init__(self, keys: Tensor, values: Tensor, slots: Tensor, sources: Tensor) -> None:
        self._keys, self._values, self._slots, self._sources = keys, values, slots, sources

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        length = keys.shape[2]
        self._keys[self._slots, :, :length] = keys[self._sources].to(self._keys.dtype)
        self._values[self._slots, :, :length] = values[self._sources].to(self._values.dtype)
        return attention(queries, keys, values, None)


class _SongWriter:
    def __init__(
        self, prefix_keys: Tensor, prefix_values: Tensor, song_keys: Tensor, song_values: Tensor, step: _Step
    ) -> None:
        self._prefix_keys, self._prefix_values = prefix_keys, prefix_values
        self._song_keys, self._song_values, self._step = song_keys, song_values, step

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        step = self._step
        self._song_keys[step.piece, step.rows, :, step.place] = keys[:, :, 0].to(self._song_keys.dtype)
        self._song_values[step.piece, step.rows, :, step.place] = values[:, :, 0].to(self._song_values.dtype)
        num_rows, num_heads, _, head_width = queries.shape
        scaled = queries.float() * head_width**-0.5
        grouped = scaled.view(-1, step.rows_per_slot, num_heads, head_width).transpose(1, 2)
        prefix_scores = _product(grouped, self._prefix_keys.transpose(2, 3)) + step.prefix_bias
        song_keys, song_values = self._song_keys[: step.num_pieces], self._song_values[: step.num_pieces]
        by_piece = scaled.expand(step.num_pieces, *scaled.shape)
        song_scores = _product(by_piece, song_keys.transpose(3, 4)) + step.song_bias

        prefix_best = prefix_scores.amax(dim=3).transpose(1, 2).reshape(num_rows, num_heads)
        best = torch.maximum(prefix_best, song_scores.amax(dim=(0, 3, 4)))
        by_slot = best.view(-1, step.rows_per_slot, num_heads).transpose(1, 2)
        prefix_shares = (prefix_scores - by_slot[..., None]).exp()
        song_shares = (song_scores - best[..., None, None]).exp()

        attended = _product(prefix_shares, self._prefix_values).transpose(1, 2).reshape(queries.shape)
        total = prefix_shares.sum(dim=3).transpose(1, 2).reshape(num_rows, num_heads)
        # In turn, since the sum over a dimension of growing size would be grouped otherwise as it grows.
        for part, share in zip(_product(song_shares, song_values), song_shares.sum(dim=(3, 4)), strict=True):
            attended, total = attended + part, total + share
        return (attended / total[..., None, None]).to(queries.dtype)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """A batched product of float32 and the cache's type, summed in float32 and given in it."""
    if right.dtype is torch.float32 or right.device.type == "cpu":
        return torch.matmul(left, right.float())
    batch = left.shape[:-2]
    flat = torch.bmm(left.flatten(0, -3).to(right.dtype), right.flatten(0, -3), out_dtype=torch.float32)
    return flat.view(*batch, *flat.shape[-2:])


def _bias(is_hidden: Tensor) -> Tensor:
    return torch.zeros(is_hidden.shape, device=is_hidden.device).masked_fill(is_hidden, -torch.inf)
