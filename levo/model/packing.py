"""Prefix and codes laid in one sequence, each row's codes directly behind its own prefix.

A row is padded at its end, where causality hides the padding from every place that counts; so attention needs no mask,
no query is left without a key, and a row does not depend on how much it is padded. Every prefix and code keeps the
position that it has where nothing is left out: how far a song is from its lyrics does not depend on other conditions.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PackedLayout:
    """Where each row's prefix ends; `source` gives, for every packed place, where in [prefix ; codes] it comes from.

    `positions` are what the towers rotate by; None counts from 0.
    """

    prefix_lengths: Int[Tensor, " row"]
    num_codes: int
    source: Int[Tensor, "row packed"] | None
    positions: Int[Tensor, "row packed"] | None

    def pack(
        self, prefix: Float[Tensor, "row prefix width"], codes: Float[Tensor, "row position width"]
    ) -> Float[Tensor, "row packed width"]:
        """One sequence a row."""
        joined = torch.cat([prefix, codes], dim=1)
        return joined if self.source is None else _gather(joined, self.source)

    def codes_of(self, states: Float[Tensor, "row packed width"]) -> Float[Tensor, "row position width"]:
        """The states at the codes' positions."""
        if self.source is None:
            return states[:, states.shape[1] - self.num_codes :]
        place = torch.arange(self.num_codes, device=states.device)
        return _gather(states, self.prefix_lengths[:, None] + place)


def full_layout(num_rows: int, prefix_length: int, num_codes: int, device: torch.device) -> PackedLayout:
    """Every prefix position counts, as in the released models."""
    return PackedLayout(torch.full((num_rows,), prefix_length, device=device), num_codes, None, None)


def packed_layout(
    is_used: Bool[Tensor, "row prefix"], positions: Int[Tensor, " prefix"], first_code: int, num_codes: int
) -> PackedLayout:
    """Only used prefix places count; the sequence is as long as the longest row needs.

    `positions` are those of the prefix's places, `first_code` that of the first code.
    """
    lengths = is_used.sum(dim=1)
    prefix_length = is_used.shape[1]
    used_first = torch.argsort(is_used.logical_not().to(torch.int8), dim=1, stable=True)
    codes = torch.arange(prefix_length, prefix_length + num_codes, device=is_used.device)
    place = torch.arange(int(lengths.max()) + num_codes, device=is_used.device).expand(len(is_used), -1)
    behind = place - lengths[:, None]
    from_prefix = used_first.gather(1, place.clamp(max=prefix_length - 1))
    from_codes = codes[behind.clamp(0, num_codes - 1)]
    source = torch.where(behind < 0, from_prefix, from_codes)
    numbered = torch.cat([positions, torch.arange(first_code, first_code + num_codes, device=is_used.device)])
    return PackedLayout(lengths, num_codes, source, numbered[source])


def _gather(x: Float[Tensor, "row position width"], index: Int[Tensor, "row packed"]) -> Tensor:
    offset = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (index + offset).flatten()).reshape(*index.shape, x.shape[2])
