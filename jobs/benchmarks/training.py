"""Training speed and memory: the language model's tower against `transformers`' Llama, at equal everything.

Both have the same weights, tokens, optimiser and loss, and as many threads as the machine has cores. Ours
takes the stage-1 step as training does: embedding, tower, losses piece by piece; `ours_recomputed` keeps the layers'
inputs alone. Arms `.._jemalloc` allocate by the library of that name that comes with Ray, told to give nothing back to
the system: how fast a step on a CPU is, and how much it holds, depends on the allocator too.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from torch import Tensor, nn

from jobs.benchmarks.arms import Measured, in_turn, measured, print_measured
from levo.model.head import Head
from levo.model.tower import Tower

OURS, OURS_RECOMPUTED, TRANSFORMERS = "ours", "ours_recomputed", "transformers"
OURS_BF16, TRANSFORMERS_BF16 = "ours_bf16", "transformers_bf16"
OURS_JEMALLOC, TRANSFORMERS_JEMALLOC = "ours_jemalloc", "transformers_jemalloc"
ARMS = (OURS, OURS_RECOMPUTED, TRANSFORMERS, OURS_BF16, TRANSFORMERS_BF16, OURS_JEMALLOC, TRANSFORMERS_JEMALLOC)
_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class TrainingSetting:
    """The sizes that both arms have."""

    width: int = 512
    num_heads: int = 8
    inner_width: int = 1536
    num_layers: int = 8
    num_classes: int = 16385
    num_rows: int = 4
    num_positions: int = 1024
    repeats: int = 3

    @property
    def num_tokens(self) -> int:
        """Tokens of a step."""
        return self.num_rows * self.num_positions


@dataclass(frozen=True, slots=True)
class TrainingComparison:
    """What every arm took, by its name; those in bf16 run their products in it and keep float32 weights."""

    arms: dict[str, Measured]
    num_tokens: int

    def speed_ratio(self, ours: str, theirs: str) -> float:
        """Our tokens a second over theirs."""
        return self.arms[theirs].median_s / self.arms[ours].median_s

    def memory_ratio(self, ours: str, theirs: str) -> float:
        """Our peak over theirs."""
        return self.arms[ours].peak_bytes / self.arms[theirs].peak_bytes

    @property
    def loss_difference(self) -> float:
        """How far apart the last losses in float32 are: equal steps give equal losses."""
        return abs(self.arms[OURS].value - self.arms[TRANSFORMERS].value)


def compare_training(setting: TrainingSetting, num_rounds: int = 2) -> TrainingComparison:
    """Run all arms by turns."""
    plain = {name: getattr(setting, name) for name in TrainingSetting.__dataclass_fields__}
    environments = dict.fromkeys((OURS_JEMALLOC, TRANSFORMERS_JEMALLOC), _jemalloc())
    found = in_turn("jobs.benchmarks.training", ARMS, plain, num_rounds, environments)
    return TrainingComparison(found, setting.num_tokens)


def _jemalloc() -> dict[str, str]:
    library = Path(ray.__file__).parent / "core" / "libjemalloc.so"
    return {"LD_PRELOAD": str(library), "MALLOC_CONF": "oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1"}


class LanguageTower(nn.Module):
    """The language model alone: embedding, tower and head."""

    def __init__(self, setting: TrainingSetting) -> None:
        super().__init__()
        self.embed = nn.Embedding(setting.num_classes, setting.width)
        self.tower = Tower(
            width=setting.width,
            num_heads=setting.num_heads,
            inner_width=setting.inner_width,
            num_layers=setting.num_layers,
            rope_base=1e4,
            num_positions=setting.num_positions,
        )
        self.head = Head(setting.width, setting.num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """The mean loss of all tokens but the first."""
        states = self.tower(self.embed(tokens))[:, :-1]
        loss: Tensor = self.head(states, tokens[:, 1:], measure="loss") / tokens[:, 1:].numel()
        return loss


def llama(setting: TrainingSetting) -> nn.Module:
    """`transformers`' model of these sizes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=setting.num_classes,
        hidden_size=setting.width,
        intermediate_size=setting.inner_width,
        num_hidden_layers=setting.num_layers,
        num_attention_heads=setting.num_heads,
        num_key_value_heads=setting.num_heads,
        max_position_embeddings=setting.num_positions,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        use_cache=False,
    )
    model: nn.Module = LlamaForCausalLM(config)
    return model


def llama_weights(setting: TrainingSetting) -> dict[str, Tensor]:
    """Weights by Llama's names, drawn from one seed."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in llama(setting).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.02
        for name, shape in shapes.items()
    }


def our_name(name: str) -> str:
    """What a weight of Llama's is called here."""
    plain = name.removeprefix("model.")
    if plain == "embed_tokens.weight":
        return "embed.weight"
    return "head.weight" if plain == "lm_head.weight" else f"tower.{plain}"


def prepared(arm: str, setting: TrainingSetting) -> Callable[[], float]:
    """One step of an arm, as a function that returns its loss."""
    weights = llama_weights(setting)
    model: nn.Module
    if arm.startswith(OURS):
        model = LanguageTower(setting)
        model.tower.recomputes = arm == OURS_RECOMPUTED
        model.load_state_dict({our_name(name): tensor for name, tensor in weights.items()})
    else:
        model = llama(setting)
        model.load_state_dict(weights)
    del weights
    tokens = torch.randint(
        setting.num_classes, (setting.num_rows, setting.num_positions), generator=torch.Generator().manual_seed(1)
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.98), fused=True)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=arm.endswith("bf16")):
            loss: Any = model(tokens) if isinstance(model, LanguageTower) else model(tokens, labels=tokens).loss
        torch.autograd.backward(loss)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


if __name__ == "__main__":
    chosen = TrainingSetting(**json.loads(sys.argv[2]))
    import transformers  # noqa: F401 - its own size counts for neither arm

    print_measured(measured(lambda: prepared(sys.argv[1], chosen), chosen.repeats))
