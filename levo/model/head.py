"""A stream's output layer: logits of states, or what states lose against targets without all logits in memory."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear_cross_entropy

from levo.model.linear import Linear

Measure = Literal["losses", "loss", "num_correct"]
_CHUNK_ROWS = 512
"""Torch's own choice for many classes on a CPU is 32, at which reading the weights takes longer than the products."""
_CHUNKED = nn.LinearCrossEntropyOptions(batch_chunk_size=_CHUNK_ROWS, chunking_method=None)
_COUNTED_ROWS = 1024


class Head(Linear):
    """A linear layer without bias over the classes of one stream.

    What it is asked for comes from its call, never from its weights outside of it: ZeRO 3 gathers them for a call.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes, bias=False)

    def forward(
        self,
        states: Float[Tensor, "*batch width"],
        targets: Int[Tensor, "*batch"] | None = None,
        *,
        ignored: int = -100,
        measure: Measure = "losses",
    ) -> Tensor:
        """Logits [*batch, class]; with targets a measure of them, those that are `ignored` left out.

        `losses` are their cross-entropies [*batch] (0 where ignored), `loss` the sum of these, `num_correct` how many
        are the likeliest class. No more than a few rows' logits are in memory at once; a sum has its gradients ready
        after the forward pass (`torch.nn.functional.linear_cross_entropy`), single losses compute logits again.
        """
        if targets is None:
            return super().forward(states)
        rows, weight = self._in_precision(states.flatten(0, -2))
        with torch.autocast(states.device.type, enabled=False):
            if measure == "num_correct":
                return _num_correct(rows.detach(), weight.detach(), targets.flatten(), ignored)
            reduction = "none" if measure == "losses" else "sum"
            losses = linear_cross_entropy(
                rows, weight, targets.flatten(), ignore_index=ignored, reduction=reduction, options=_CHUNKED
            )
        return losses.float().view(targets.shape) if measure == "losses" else losses.float()

    def _in_precision(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """On a GPU products run in autocast's type, as elsewhere; on a CPU the kernel's are fast in float32 alone."""
        device = rows.device.type
        if device != "cpu" and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            return rows.to(dtype), self.weight.to(dtype)
        return rows.to(self.weight.dtype), self.weight


def _num_correct(rows: Tensor, weight: Tensor, targets: Tensor, ignored: int) -> Int[Tensor, ""]:
    parts = zip(torch.split(rows, _COUNTED_ROWS), torch.split(targets, _COUNTED_ROWS), strict=True)
    counts = [(((part @ weight.T).argmax(-1) == wanted) & (wanted != ignored)).sum() for part, wanted in parts]
    return torch.stack(counts).sum()
