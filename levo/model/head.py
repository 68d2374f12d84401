"""A stream's output layer: logits of states, or what states lose against targets without all logits in memory."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear_cross_entropy

from levo.model.linear import Linear, times_transposed

Measure = Literal["losses", "loss", "num_correct"]
_CHUNK_ROWS = 256
"""What is multiplied at once on a CPU: logits of so many rows stay in its cache, and weights are read seldom enough."""
_CHUNKED = nn.LinearCrossEntropyOptions(batch_chunk_size=512, chunking_method=None)
"""Torch's own choice for many classes is 32, at which reading the weights takes longer than the products."""
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
        after the forward pass, single losses compute logits again.
        """
        if targets is None:
            return super().forward(states)
        device = states.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        rows, weight, wanted = states.flatten(0, -2).to(dtype), self.weight.to(dtype), targets.flatten()
        with torch.autocast(device, enabled=False):
            if measure == "num_correct":
                return _num_correct(rows.detach(), weight.detach(), wanted, ignored)
            is_summed = measure == "loss"
            if device == "cpu":
                losses = _losses(rows, weight, wanted, ignored, is_summed=is_summed)
            else:
                reduction = "sum" if is_summed else "none"
                losses = linear_cross_entropy(
                    rows, weight, wanted, ignore_index=ignored, reduction=reduction, options=_CHUNKED
                )
        return losses.float() if is_summed else losses.float().view(targets.shape)


def _num_correct(rows: Tensor, weight: Tensor, targets: Tensor, ignored: int) -> Int[Tensor, ""]:
    parts = zip(torch.split(rows, _COUNTED_ROWS), torch.split(targets, _COUNTED_ROWS), strict=True)
    counts = [(((part @ weight.T).argmax(-1) == wanted) & (wanted != ignored)).sum() for part, wanted in parts]
    return torch.stack(counts).sum()


def _losses(rows: Tensor, weight: Tensor, targets: Tensor, ignored: int, *, is_summed: bool) -> Tensor:
    losses: Tensor = _Losses.apply(rows, weight, targets, ignored, is_summed)  # type: ignore[no-untyped-call]
    return losses


class _Losses(torch.autograd.Function):
    """Cross-entropies of rows against targets in float32, a few rows' logits at a time; 0 where ignored.

    Their gradient by the logits is softmax - one-hot. A sum's is worked out with the loss, since all rows weigh the
    same in it; for single losses logits are computed once more, when it is known what each weighs.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, targets: Tensor, ignored: int, is_summed: bool) -> Tensor:
        ctx.options = ignored, is_summed
        losses = torch.zeros(len(rows), dtype=torch.float32, device=rows.device)
        gradients = _Gradients(rows, weight) if is_summed and any(ctx.needs_input_grad[:2]) else None
        for part in _parts(len(rows)):
            logits = times_transposed(rows[part], weight).float()
            largest, probabilities = logits.amax(-1), logits.softmax(-1)
            # 1 / sum exp(l - largest) is the largest probability, which never vanishes.
            normaliser = largest - probabilities.amax(-1).log()
            is_counted = targets[part] != ignored
            own = torch.where(is_counted, targets[part], 0)[:, None]
            losses[part] = (normaliser - logits.gather(1, own)[:, 0]) * is_counted
            if gradients is not None:
                gradients.add(part, probabilities, own, is_counted.float())
        if gradients is not None:
            ctx.save_for_backward(gradients.of_rows, gradients.of_weight.to(weight.dtype))
        else:
            ctx.save_for_backward(rows, weight, targets)
        return losses.sum() if is_summed else losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ignored, is_summed = ctx.options
        if is_summed:
            return *(kept * gradient.to(kept.dtype) for kept in ctx.saved_tensors), None, None, None
        rows, weight, targets = ctx.saved_tensors
        gradients = _Gradients(rows, weight)
        for part in _parts(len(rows)):
            probabilities = times_transposed(rows[part], weight).float().softmax(-1)
            is_counted = targets[part] != ignored
            own = torch.where(is_counted, targets[part], 0)[:, None]
            gradients.add(part, probabilities, own, gradient[part] * is_counted)
        return gradients.of_rows, gradients.of_weight.to(weight.dtype), None, None, None


class _Gradients:
    """Gradients of rows and weight, gathered part by part; that of the weight in float32."""

    def __init__(self, rows: Tensor, weight: Tensor) -> None:
        self._rows, self._weight = rows, weight
        self.of_rows = torch.empty_like(rows)
        self.of_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)

    def add(self, part: slice, probabilities: Tensor, own: Tensor, weights: Tensor) -> None:
        """Add what losses of a part give, each times its weight; `probabilities` are used up."""
        probabilities.scatter_add_(1, own, probabilities.new_full(own.shape, -1.0))
        by_logits = probabilities.mul_(weights[:, None]).to(self._rows.dtype)
        self.of_rows[part] = times_transposed(by_logits, self._weight.T)
        if by_logits.dtype is torch.float32:
            self.of_weight.addmm_(by_logits.T, self._rows[part])
        else:
            self.of_weight += by_logits.T @ self._rows[part]


def _parts(num_rows: int) -> Iterator[slice]:
    for start in range(0, num_rows, _CHUNK_ROWS):
        yield slice(start, min(start + _CHUNK_ROWS, num_rows))
