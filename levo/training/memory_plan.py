"""How much memory a phase needs on each worker, counted from shapes before anything is allocated."""

import math
from dataclasses import dataclass

from levo.model.config import LeLMConfig
from levo.training.phases import PhaseConfig

CARDS_GB = (24, 80, 141)
"""Cards that plans are printed for, by the gigabytes (10^9 bytes) that their makers state."""
_USABLE = 0.92
_WIDE, _NARROW = 4, 2
_KEPT_WIDE, _KEPT_NARROW = (24, 8), (26, 4)
"""Bytes that a block keeps for its gradient at a position, for each of the model's width and of the feed-forward's, in
float32 and under autocast: the inputs of both norms, queries, keys, values and what they give, gate and up projection.
Under autocast a GPU keeps the first in float32, the others narrow, and narrow copies of what products are given."""
_LOSS_LOGIT_COPIES = 3


@dataclass(frozen=True, slots=True)
class TrainedSizes:
    """Parameters of a model in all, and those that a phase moves."""

    num_parameters: int
    num_trained: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on each worker; weights, gradients and optimiser are shared out as the ZeRO stage says."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.logits

    def missing_on(self, card_gb: float) -> int:
        """Bytes that a card of so many gigabytes lacks; 0 where the plan fits into its usable share."""
        return max(0, self.total - int(card_gb * 1e9 * _USABLE))


def plan_memory(
    config: LeLMConfig,
    sizes: TrainedSizes,
    phase: PhaseConfig,
    num_frames: int,
    *,
    zero_stage: int = 0,
    num_workers: int = 1,
    computes_narrow: bool = True,
) -> MemoryPlan:
    """The plan of a phase whose longest song has `num_frames`, on `num_workers` workers.

    Weights, gradients and both moments are float32. `computes_narrow` is a forward pass in bfloat16, with which a copy
    of the weights comes. DPO runs two songs a pair; its reference is on file.
    """
    shared = {part: num_workers if zero_stage >= stage else 1 for part, stage in _SHARED_FROM.items()}
    rows = math.ceil(phase.batch_rows / (num_workers * phase.micro_batches)) * (2 if phase.stage == "dpo" else 1)
    positions = rows * (config.prefix_length + 1 + config.max_delay + num_frames)
    copies = _NARROW * sizes.num_parameters if computes_narrow else 0
    return MemoryPlan(
        weights=_WIDE * sizes.num_parameters // shared["weights"] + copies,
        gradients=_WIDE * sizes.num_trained // shared["gradients"],
        optimiser=2 * _WIDE * sizes.num_trained // shared["optimiser"],
        activations=positions * _kept_bytes(config, phase, _KEPT_NARROW if computes_narrow else _KEPT_WIDE),
        logits=_logit_bytes(config, phase, rows * num_frames),
    )


def plan_lines(plan: MemoryPlan) -> list[str]:
    """The plan as lines to print: what takes how much, and which cards it fits."""
    parts = ", ".join(
        f"{name} {getattr(plan, name) / 1e9:.2f}"
        for name in ("weights", "gradients", "optimiser", "activations", "logits")
    )
    lines = [f"memory a worker: {plan.total / 1e9:.2f} GB ({parts})"]
    for card in CARDS_GB:
        missing = plan.missing_on(card)
        lines.append(f"  {card:>3} GB card: " + ("fits" if not missing else f"{missing / 1e9:.2f} GB missing"))
    return lines


_SHARED_FROM = {"optimiser": 1, "gradients": 2, "weights": 3}


def _kept_bytes(config: LeLMConfig, phase: PhaseConfig, kept: tuple[int, int]) -> int:
    """Bytes that all blocks keep of one position for the gradient."""
    whole = kept[0] * config.width + kept[1] * config.feed_forward_width
    num_blocks = config.num_layers + (0 if phase.stage == "pretrain" else config.num_decoder_layers)
    if phase.stage == "extend":
        num_blocks = config.num_decoder_layers
    if phase.recompute_activations:
        return num_blocks * _WIDE * config.width + whole
    return num_blocks * whole


def _logit_bytes(config: LeLMConfig, phase: PhaseConfig, num_tokens: int) -> int:
    if phase.chunked_loss:
        return _WIDE * num_tokens * config.width * len(phase.stage.streams)
    return _WIDE * _LOSS_LOGIT_COPIES * num_tokens * config.num_classes * len(phase.stage.streams)
