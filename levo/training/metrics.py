"""What training costs and how fast it goes: floating-point operations per step, their rate, and the machine's share."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch

from levo.training.freezing import is_trained
from levo.training.phases import Stage

_TOWER1 = ("transformer.model.layers.", "transformer.lm_head.")
_TOWER2 = ("mlp.", "transformer2.model.layers.", "linears.")


@dataclass(frozen=True, slots=True)
class StepCost:
    """Floating-point operations of one position, by the PaLM paper's convention (its appendix B).

    A multiply-add counts 2. Weights cost 2 forward and 4 backward; attention over S positions costs 4 S D forward and
    8 S D backward a block, the causal half not discounted. Frozen modules before the first trained one cost their
    forward only. Look-ups, norms and the optimiser are not counted.
    """

    per_position: float
    per_position_squared: float

    def operations(self, num_rows: int, num_positions: int) -> float:
        """Operations of one step over rows of `num_positions` (conditions and tokens together)."""
        return num_rows * (self.per_position * num_positions + self.per_position_squared * num_positions**2)


def step_cost(shapes: Mapping[str, tuple[int, ...]], stage: Stage) -> StepCost:
    """The cost of one position in a stage, from the names and shapes of a LeLM's parameters."""
    towers = [_TOWER1] if stage is Stage.PRETRAIN else [_TOWER1, _TOWER2]
    linear, attention = 0.0, 0.0
    for tower in towers:
        moves = any(is_trained(prefix, stage.trained_part) for prefix in tower)
        passes = 6.0 if moves else 2.0
        for name, shape in shapes.items():
            if not name.startswith(tower) or len(shape) != 2:
                continue
            linear += passes * shape[0] * shape[1]
            if name.endswith("self_attn.q_proj.weight"):
                attention += 2.0 * passes * shape[0]
    return StepCost(linear, attention)


def model_flops_utilisation(operations_per_s: float, peak_operations_per_s: float) -> float:
    """The share of the machine's peak that went into the model (MFU), 0 to 1."""
    return operations_per_s / peak_operations_per_s


@cache
def measured_peak_operations_per_s(device: torch.device, size: int = 1024, repeats: int = 4) -> float:
    """What the machine reaches in a square float32 product: the peak to hold MFU against where none is stated.

    Measured once in a process.
    """
    left = torch.ones(size, size, device=device)
    best_s = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        float((left @ left)[0, 0])
        best_s = min(best_s, time.perf_counter() - begun)
    return 2.0 * size**3 / best_s
