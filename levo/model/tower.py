"""A causal Llama tower: RMSNorm, rotary attention and SwiGLU blocks, with an optional key-value cache."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from levo.model.attention import attention
from levo.model.kv_cache import CacheWriter
from levo.model.linear import Linear
from levo.model.recomputed import forgotten

_INITIAL_STD = 0.02
_LEAST_FORGOTTEN_WIDTH = 512
"""Narrower towers keep what autograd keeps: there is little of it."""


class RMSNorm(nn.Module):
    """x / rms(x) * weight, the quotient in float32 (arXiv 1910.07467)."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """The normalised vectors, in the dtype of `x`."""
        if x.shape[-1] < _LEAST_FORGOTTEN_WIDTH:
            return self.weight * _quotient(x, self.epsilon)[1].to(x.dtype)
        return _Normalised.apply(x, self.weight, self.epsilon)  # type: ignore[no-any-return,no-untyped-call]


def _normalised(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    quotient = _quotient(x, epsilon)[1].to(x.dtype)
    return quotient.mul_(weight) if quotient.dtype is weight.dtype else quotient * weight


def _quotient(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """1 / rms(x) and x / rms(x), in float32."""
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return scale, wide * scale


class _Normalised(torch.autograd.Function):
    """The norm, whose gradient keeps its input alone: with q = x / rms(x) and g the gradient by q,
    that of x is (g - q mean(g q)) / rms(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.again = partial(_normalised, epsilon=epsilon)
        return _normalised(x, weight, epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        scale, quotient = _quotient(x, ctx.again.keywords["epsilon"])
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = (gradient * quotient).flatten(0, -2).sum(0).to(weight.dtype)
        by_quotient = (gradient * weight).float()
        for_x = scale * (by_quotient - quotient * (by_quotient * quotient).mean(-1, keepdim=True))
        return for_x.to(x.dtype), for_weight, None


class Rotary(nn.Module):
    """Rotary position embedding with rotated halves (arXiv 2104.09864); the angles are tabled for all positions."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_width: int, base: float, num_positions: int) -> None:
        super().__init__()
        with torch.device("cpu"):
            frequencies = base ** -(torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
            angles = torch.arange(num_positions, dtype=torch.float32)[:, None] * frequencies
        self.register_buffer("cos", angles.cos().repeat(1, 2), persistent=False)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], dim=1), persistent=False)

    def forward(
        self, positions: Int[Tensor, "row position"] | None, length: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines, [1 or row, 1, position, head_width]; without positions they count from 0."""
        if positions is None:
            return self.cos[None, None, :length].to(dtype), self.sin[None, None, :length].to(dtype)
        return self.cos[positions][:, None].to(dtype), self.sin[positions][:, None].to(dtype)


class Attention(nn.Module):
    """Causal self-attention of all heads."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = Linear(width, width, bias=False)
        self.k_proj = Linear(width, width, bias=False)
        self.v_proj = Linear(width, width, bias=False)
        self.o_proj = Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "row position width"], angles: tuple[Tensor, Tensor], cache: CacheWriter | None
    ) -> Float[Tensor, "row position width"]:
        """Attend to all earlier positions, those in the cache among them."""
        queries = _rotated(self._heads(self.q_proj(x)), angles)
        keys = _rotated(self._heads(self.k_proj(x)), angles)
        values = self._heads(self.v_proj(x))
        attended = attention(queries, keys, values, None) if cache is None else cache.attend(queries, keys, values)
        return self.o_proj(attended.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def _heads(self, x: Float[Tensor, "row position width"]) -> Float[Tensor, "row head position head_width"]:
        return x.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate x) * up x) (arXiv 2002.05202)."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.gate_proj = Linear(width, inner_width, bias=False)
        self.up_proj = Linear(width, inner_width, bias=False)
        self.down_proj = Linear(inner_width, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"], *, forgets: bool = True) -> Float[Tensor, "*batch width"]:
        """The block's update to each position; what its last layer is given is not kept where it `forgets`."""
        gated: Tensor = _Gated.apply(self.gate_proj(x), self.up_proj(x))  # type: ignore[no-untyped-call]
        with forgotten(gated, forgets and x.shape[-1] >= _LEAST_FORGOTTEN_WIDTH):
            return self.down_proj(gated)  # type: ignore[no-any-return]


def _gated(gate: Tensor, up: Tensor) -> Tensor:
    return functional.silu(gate).mul_(up)


class _Gated(torch.autograd.Function):
    """silu(gate) * up, whose gradient takes what autograd's does and keeps a third less: silu is computed again."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.again = _gated
        return _gated(gate, up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(gradient * up, gate), gradient * functional.silu(gate)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to its input."""

    def __init__(self, width: int, num_heads: int, inner_width: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(width)
        self.self_attn = Attention(width, num_heads)
        self.post_attention_layernorm = RMSNorm(width)
        self.mlp = FeedForward(width, inner_width)

    def forward(
        self,
        x: Float[Tensor, "row position width"],
        angles: tuple[Tensor, Tensor],
        cache: CacheWriter | None,
        *,
        forgets: bool = True,
    ) -> Float[Tensor, "row position width"]:
        """The next layer's input; training keeps neither norms nor gates where it `forgets`.

        It must not where the whole layer is recomputed: what stands in for them would keep the rest.
        """
        normed = self.input_layernorm(x)
        with forgotten(normed, forgets):
            x = x + self.self_attn(normed, angles, cache)
        normed = self.post_attention_layernorm(x)
        with forgotten(normed, forgets):
            return x + self.mlp(normed, forgets=forgets)  # type: ignore[no-any-return]


class Tower(nn.Module):
    """A stack of blocks and a final norm, over vectors that are already embedded."""

    def __init__(
        self, *, width: int, num_heads: int, inner_width: int, num_layers: int, rope_base: float, num_positions: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(width, num_heads, inner_width) for _ in range(num_layers))
        self.norm = RMSNorm(width)
        self.rotary = Rotary(width // num_heads, rope_base, num_positions)
        self.recomputes = False
        """Whether training keeps each layer's input alone and computes the rest again for the gradient."""
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=_INITIAL_STD)

    def forward(
        self,
        x: Float[Tensor, "row position width"],
        positions: Int[Tensor, "row position"] | None = None,
        caches: list[CacheWriter] | CacheWriter | None = None,
    ) -> Float[Tensor, "row position width"]:
        """Normed states of the last layer; `caches` holds one writer a layer, or is what all layers attend by."""
        angles = self.rotary(positions, x.shape[1], x.dtype)
        for index, layer in enumerate(self.layers):
            cache = caches[index] if isinstance(caches, list) else caches
            if self.recomputes and torch.is_grad_enabled():
                x = checkpoint(layer, x, angles, cache, forgets=False, use_reentrant=False)
            else:
                x = layer(x, angles, cache)
        return self.norm(x)  # type: ignore[no-any-return]


def _rotated(x: Float[Tensor, "row head position head_width"], angles: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = angles
    return (x * cos).add_(x.roll(x.shape[-1] // 2, dims=-1) * sin)
