"""What moves the weights: the protocol every training engine keeps, and the plain one for a single process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from levo.training.phases import AdamOptions, PhaseConfig
from levo.training.precision import in_precision

_MODEL, _OPTIMIZER = "model.safetensors", "optimizer.safetensors"


class Engine(Protocol):
    """Forward by `model`, then `backward` for each micro-batch, then one `step`.

    A loss handed to `backward` is the micro-batch's share: over all micro-batches and workers shares sum to the loss.
    """

    @property
    def model(self) -> nn.Module:
        """What to call; the gradient path of the engine starts here."""

    @property
    def device(self) -> torch.device:
        """Where batches go."""

    def backward(self, share: Tensor) -> None:
        """Add the gradient of a share of the loss."""

    def step(self, learning_rate: float) -> float:
        """Clip, update, clear; the gradient norm before clipping."""

    def save(self, folder: Path) -> None:
        """Write weights and optimiser state; every worker must call it."""

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote; every worker must call it."""

    def weights(self) -> dict[str, Tensor]:
        """The float32 weights by name, whole, on the CPU of worker 0, nothing on others; every worker must call it."""

    def close(self) -> None:
        """Give back what the engine holds; it is not used after."""


@dataclass(frozen=True, slots=True)
class ParameterGroups:
    """Parameters that train, by whether weight decay applies: it does to matrices, not to norms and biases."""

    decayed: tuple[nn.Parameter, ...]
    plain: tuple[nn.Parameter, ...]


def parameter_groups(model: nn.Module) -> ParameterGroups:
    """The trained parameters in the model's order."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return ParameterGroups(
        decayed=tuple(parameter for parameter in trained if parameter.ndim >= 2),
        plain=tuple(parameter for parameter in trained if parameter.ndim < 2),
    )


def build_adamw(model: nn.Module, options: AdamOptions) -> torch.optim.AdamW:
    """AdamW over the trained parameters; the rate is set at each step."""
    groups = parameter_groups(model)
    return torch.optim.AdamW(
        [
            {"params": list(part), "weight_decay": decay}
            for part, decay in ((groups.decayed, options.weight_decay), (groups.plain, 0.0))
            if part
        ],
        lr=0.0,
        betas=options.betas,
        eps=options.epsilon,
        fused=True,
    )


class PlainEngine:
    """One process, one device: float32 weights and AdamW; forward in the phase's precision."""

    def __init__(self, model: nn.Module, phase: PhaseConfig) -> None:
        """Take a model whose parameters are frozen or trained as the phase wants them."""
        self._model = model
        self._max_gradient_norm = phase.adam.max_gradient_norm
        self._optimizer = build_adamw(model, phase.adam)
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._forward = in_precision(model, phase.precision, self.device)

    @property
    def model(self) -> nn.Module:
        """The model, in its precision."""
        return self._forward

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self._trained[0].device

    def backward(self, share: Tensor) -> None:
        """Add the gradient of a share of the loss."""
        torch.autograd.backward(share)

    def step(self, learning_rate: float) -> float:
        """Clip, update, clear; the gradient norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._trained, self._max_gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def save(self, folder: Path) -> None:
        """Write weights and optimiser state as safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.weights(), folder / _MODEL)
        state = self._optimizer.state_dict()["state"]
        flat = {f"{place}.{name}": value for place, entry in state.items() for name, value in entry.items()}
        save_file(flat, folder / _OPTIMIZER)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        self._model.load_state_dict(load_file(folder / _MODEL))
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in load_file(folder / _OPTIMIZER).items():
            place, name = key.split(".")
            entries.setdefault(int(place), {})[name] = value
        self._optimizer.load_state_dict(
            {"state": entries, "param_groups": self._optimizer.state_dict()["param_groups"]}
        )

    def close(self) -> None:
        """Nothing to give back."""

    def weights(self) -> dict[str, Tensor]:
        """The float32 weights by name, on the CPU."""
        return {name: value.detach().cpu().contiguous() for name, value in self._model.state_dict().items()}
