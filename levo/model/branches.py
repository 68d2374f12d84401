"""Songs that begin with one prefix, laid behind it in one sequence: the prefix is computed once for all of them.

A branch attends to the prefix and to itself, never to another branch, and its positions count on from the prefix's end:
its states are what they would be in a sequence of its own.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from levo.model.attention import attention


@dataclass(frozen=True, slots=True, eq=False)
class BranchedLayout:
    """Rows of [prefix ; branch ; branch ...], every prefix `prefix_length` long and every branch `num_codes`."""

    prefix_length: int
    num_codes: int
    num_branches: int
    _biases: dict[torch.dtype, Tensor] = field(default_factory=dict)
    """What hides later positions, made once: every layer keeps it for its gradient."""

    def positions(self, device: torch.device) -> Int[Tensor, "1 packed"]:
        """What the towers rotate by."""
        prefix = torch.arange(self.prefix_length, device=device)
        branch = torch.arange(self.prefix_length, self.prefix_length + self.num_codes, device=device)
        return torch.cat([prefix, branch.repeat(self.num_branches)])[None]

    def pack(
        self, prefix: Float[Tensor, "row prefix width"], codes: Float[Tensor, "song position width"]
    ) -> Float[Tensor, "row packed width"]:
        """One sequence a row; songs come branch by branch, first of all rows, then second of all rows."""
        branches = codes.view(self.num_branches, -1, *codes.shape[1:]).unbind(0)
        return torch.cat([prefix, *branches], dim=1)

    def codes_of(self, states: Float[Tensor, "row packed width"]) -> Float[Tensor, "song position width"]:
        """The states at the codes' positions, in the songs' order."""
        rows, width = len(states), states.shape[2]
        branches = states[:, self.prefix_length :].reshape(rows, self.num_branches, self.num_codes, width)
        return branches.transpose(0, 1).flatten(0, 1)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of all branches, in the place of a cache's."""
        first = self.prefix_length + self.num_codes
        found = [attention(queries[:, :, :first], keys[:, :, :first], values[:, :, :first], None)]
        for start in range(first, queries.shape[2], self.num_codes):
            branch = slice(start, start + self.num_codes)
            found.append(
                attention(
                    queries[:, :, branch],
                    self._behind_prefix(keys, branch),
                    self._behind_prefix(values, branch),
                    self._bias(queries),
                )
            )
        return torch.cat(found, dim=2)

    def _behind_prefix(self, tensor: Tensor, branch: slice) -> Tensor:
        return torch.cat([tensor[:, :, : self.prefix_length], tensor[:, :, branch]], dim=2)

    def _bias(self, queries: Tensor) -> Float[Tensor, "position prefix_and_branch"]:
        # On a CPU attention is computed in float32.
        dtype = torch.float32 if queries.device.type == "cpu" else queries.dtype
        if dtype not in self._biases:
            shape = (self.num_codes, self.prefix_length + self.num_codes)
            is_ahead = torch.ones(shape, dtype=torch.bool, device=queries.device).triu(self.prefix_length + 1)
            zeros = torch.zeros(shape, dtype=dtype, device=queries.device)
            self._biases[dtype] = zeros.masked_fill(is_ahead, -torch.inf)
        return self._biases[dtype]
