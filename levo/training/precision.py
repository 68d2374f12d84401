"""What a forward pass multiplies in: float32, or bfloat16 over float32 weights."""

from enum import StrEnum

import torch
from torch import nn

_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


class Precision(StrEnum):
    """What products are computed in; weights, gradients and optimiser state are float32 in any case."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    NATIVE = "native"

    def on(self, device: torch.device) -> "Precision":
        """What it comes to on a device: native is bfloat16 where there are instructions for it, else float32."""
        if self is not Precision.NATIVE:
            return self
        return Precision.BFLOAT16 if computes_bfloat16(device) else Precision.FLOAT32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16 products; without them autocast is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _BFLOAT16_INSTRUCTIONS)


def in_precision(model: nn.Module, precision: Precision, device: torch.device) -> nn.Module:
    """The model itself, or one that runs it in bfloat16."""
    return _Autocast(model) if precision.on(device) is Precision.BFLOAT16 else model


class _Autocast(nn.Module):
    """A model whose products run in bfloat16, while its weights and gradients stay as they are."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.wrapped = model

    def forward(self, *inputs: object, **options: object) -> object:
        """The model's own output."""
        device = next(self.wrapped.parameters()).device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return self.wrapped(*inputs, **options)
