"""The linear layer of all towers and heads: torch's, but for large weights on a CPU."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_SMALLEST_WEIGHT = 2**18
_FEW_ROWS = (2, 6)
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]


class Linear(nn.Linear):
    """x W^T + b.

    Torch hands float32 products on a CPU to MKL, which is slow at x W^T. For large weights there are two better ways,
    whose sums are the same to rounding (2 cores with AVX-512, weights of 16385 x 512):

    - a few rows, as when sampling, are bound by reading the weights, which MKL does several times; W x^T is the same
      product and reads them once (2 rows: 7.0 ms, and 0.9 ms so);
    - for one row and for many oneDNN's kernel is the faster one (1 row: 3.1 ms and 1.2 ms; 32 rows: 8.0 ms and 4.5 ms;
      4,096 rows: 105 GFLOP/s and 170, and as much for the gradient of x; for that of W it is not).

    Under autocast the gradient keeps `x` as it came and casts it again: layers that share it then share what is kept.
    """

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch other_width"]:
        """The layer's output."""
        if not self._is_large_on_cpu(x):
            return super().forward(x)
        rows = x.reshape(-1, self.in_features)
        if torch.is_autocast_enabled("cpu"):
            product = _Product.apply(rows, self.weight, torch.get_autocast_dtype("cpu"))  # type: ignore[no-untyped-call]
        elif _FEW_ROWS[0] <= len(rows) <= _FEW_ROWS[1] and not torch.is_grad_enabled():
            # Rows stay rows: what follows would be slow on columns.
            product = torch.mm(self.weight, rows.T).T.contiguous()
        else:
            product = _Product.apply(rows, self.weight, x.dtype)  # type: ignore[no-untyped-call]
        product = product if self.bias is None else product + self.bias.to(product.dtype)
        return product.reshape(*x.shape[:-1], self.out_features)  # type: ignore[no-any-return]

    def _is_large_on_cpu(self, x: Tensor) -> bool:
        if x.device.type != "cpu" or self.weight.numel() < _SMALLEST_WEIGHT or x.numel() == 0:
            return False
        return self.weight.dtype is torch.float32 and (x.dtype is torch.float32 or torch.is_autocast_enabled("cpu"))


def times_transposed(x: Float[Tensor, "row width"], weight: Float[Tensor, "other width"]) -> Float[Tensor, "row other"]:
    """x W^T without a gradient, by oneDNN where that is the faster way; `weight` may be a transposed view."""
    is_large = x.device.type == "cpu" and x.dtype is torch.float32 and weight.numel() >= _SMALLEST_WEIGHT
    if not (is_large and _HAS_ONEDNN):
        return torch.mm(x, weight.T)
    if torch.compiler.is_compiling():
        opaque: Tensor = _opaque_product(x, weight)
        return opaque
    return _onednn_product(x, weight)


def _onednn_product(x: Tensor, weight: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return product


@torch.library.custom_op("levo::onednn_product", mutates_args=())
def _opaque_product(x: Tensor, weight: Tensor) -> Tensor:
    """The same for compiled layers: torch's compiler takes the operation itself for one on packed weights."""
    return _onednn_product(x, weight)


@_opaque_product.register_fake
def _shape_of_product(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


class _Product(torch.autograd.Function):
    """x W^T multiplied in `dtype`, whose gradient keeps x and W as they came."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x, weight)
        with torch.autocast("cpu", enabled=False):
            return times_transposed(x.to(dtype), weight.to(dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, _ = ctx.needs_input_grad
        dtype = gradient.dtype
        return (
            times_transposed(gradient, weight.to(dtype).T).to(x.dtype) if for_x else None,
            torch.mm(gradient.T, x.to(dtype)).to(weight.dtype) if for_weight else None,
            None,
        )
