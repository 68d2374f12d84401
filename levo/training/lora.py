"""Low-rank adapters (LoRA, arXiv 2106.09685) on the towers' linear layers, and their merger into plain weights.

An adapted layer is the layer itself with two small matrices beside its weight, so every other parameter keeps its name
and its bits, and what comes out of training is a model folder like any other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from levo.model.linear import Linear

_DOWN, _UP = "lora_a", "lora_b"
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraOptions:
    """The rank of the adapters, and `alpha`: their product is scaled by alpha / rank."""

    rank: int
    alpha: float = 16.0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"LoRA rank is {self.rank}; expected at least 1")
        if not math.isfinite(self.alpha) or self.alpha <= 0:
            raise ValueError(f"LoRA alpha is {self.alpha}; expected a finite number above 0")

    @property
    def scale(self) -> float:
        """What the adapters' product is multiplied by."""
        return self.alpha / self.rank


class AdaptedLinear(Linear):
    """W x + scale B A x, where A and B alone are trained."""

    def __init__(self, layer: nn.Linear, options: LoraOptions, generator: torch.Generator) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = options.scale
        device, dtype = layer.weight.device, layer.weight.dtype
        down = torch.empty(options.rank, layer.in_features)
        # As in the paper's own code: A by Kaiming's uniform rule, B zero, so that training begins at the model itself.
        bound = 1 / math.sqrt(layer.in_features)
        self.lora_a = nn.Parameter(down.uniform_(-bound, bound, generator=generator).to(device, dtype))
        self.lora_b = nn.Parameter(torch.zeros(layer.out_features, options.rank, device=device, dtype=dtype))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch other_width"]:
        """The layer's output with the adapters' on top."""
        adapted = functional.linear(functional.linear(x, self.lora_a), self.lora_b)
        return super().forward(x) + self.scale * adapted


def add_adapters(model: nn.Module, options: LoraOptions, seed: int) -> tuple[str, ...]:
    """Adapt every projection of both towers; returns the names of what trains, and leaves nothing else trainable."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for module in list(model.modules()):
        for name in _PROJECTIONS:
            layer = getattr(module, name, None)
            if isinstance(layer, nn.Linear):
                setattr(module, name, AdaptedLinear(layer, options, generator))
    return tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)


def merged(weights: Mapping[str, Tensor], options: LoraOptions) -> dict[str, Tensor]:
    """A plain state dict from one with adapters: W + scale B A, computed in float64 and rounded once."""
    plain: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind in (_DOWN, _UP):
            continue
        if kind == "weight" and f"{layer}.{_DOWN}" in weights:
            down, up = weights[f"{layer}.{_DOWN}"].double(), weights[f"{layer}.{_UP}"].double()
            tensor = (tensor.double() + options.scale * (up @ down)).to(tensor.dtype)
        plain[name] = tensor
    return plain
