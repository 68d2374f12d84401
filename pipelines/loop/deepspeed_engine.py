"""The training engine on DeepSpeed: ZeRO stages 0 to 3 around the same model, optimiser and float32 weights."""

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from levo.training.engine import build_adamw
from levo.training.phases import PhaseConfig
from levo.training.precision import in_precision
from levo.training.workers import Workers

_TAG = "state"


class MissingCompilerError(OSError):
    """DeepSpeed cannot compile what it needs on this machine."""


@dataclass(frozen=True, slots=True)
class ZeroOptions:
    """How DeepSpeed spreads a model over its workers.

    Weights, optimiser state and frozen parameters stay float32 at every stage, so that small steps count and what is
    frozen keeps its bits; a phase's precision is that of the forward pass.
    """

    stage: int = 1

    def __post_init__(self) -> None:
        if self.stage not in (0, 1, 2, 3):
            raise ValueError(f"ZeRO stage {self.stage}; expected 0, 1, 2 or 3")


ZERO_1 = ZeroOptions()


class DeepSpeedEngine:
    """One worker's side of a DeepSpeed engine; a default process group must exist."""

    def __init__(self, model: nn.Module, phase: PhaseConfig, options: ZeroOptions, workers: Workers) -> None:
        """Take over a model whose parameters are frozen or trained as the phase wants them."""
        check_compiler()
        import deepspeed

        self._deepspeed = deepspeed
        self._zero_stage = options.stage
        self._micro_batches = phase.micro_batches
        self._share_scale = float(phase.micro_batches * workers.world_size)
        self._rank = workers.rank
        self._micro_step = 0
        self._engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=build_adamw(model, phase.adam),
            config=deepspeed_config(phase, options, workers.world_size),
            dist_init_required=False,
        )
        self._model = in_precision(self._engine, phase.precision, self.device)

    @property
    def model(self) -> nn.Module:
        """DeepSpeed's module, in its precision."""
        return self._model

    @property
    def device(self) -> torch.device:
        """The device that DeepSpeed put the model on."""
        return torch.device(self._engine.device)

    def backward(self, share: Tensor) -> None:
        """Add the gradient of a share; DeepSpeed takes means over micro-batches and workers where shares sum."""
        self._engine.backward(share * self._share_scale)
        self._micro_step += 1
        if self._micro_step < self._micro_batches:
            self._engine.step()

    def step(self, learning_rate: float) -> float:
        """Clip, update, clear; the gradient norm before clipping."""
        self._micro_step = 0
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        norm = self._plain_gradient_norm() if self._zero_stage == 0 else None
        self._engine.step()
        return float(self._engine.get_global_grad_norm() if norm is None else norm)

    def save(self, folder: Path) -> None:
        """Write this worker's part of the state."""
        self._engine.save_checkpoint(str(folder), tag=_TAG)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote; raises FileNotFoundError where it is not all there."""
        loaded, _ = self._engine.load_checkpoint(str(folder), tag=_TAG)
        if loaded is None:
            raise FileNotFoundError(f"{folder} holds no DeepSpeed state {_TAG!r} for this number of workers")

    def weights(self) -> dict[str, Tensor]:
        """The weights by name on worker 0; under ZeRO 3 gathered one by one."""
        module = self._engine.module
        if self._zero_stage < 3:
            return {name: _on_cpu(value) for name, value in module.state_dict().items()} if self._rank == 0 else {}
        gathered: dict[str, Tensor] = {}
        for name, parameter in module.named_parameters():
            with self._deepspeed.zero.GatheredParameters([parameter]):
                if self._rank == 0:
                    gathered[name] = _on_cpu(parameter)
        return gathered

    def close(self) -> None:
        """Take DeepSpeed's hooks off the model."""
        self._engine.destroy()

    def _plain_gradient_norm(self) -> float:
        gradients = [parameter.grad for parameter in self._engine.module.parameters() if parameter.grad is not None]
        return float(nn.utils.get_total_norm(gradients))


def deepspeed_config(phase: PhaseConfig, options: ZeroOptions, world_size: int) -> dict[str, Any]:
    """DeepSpeed's configuration of a phase; the optimiser itself is ours."""
    rows, rest = divmod(phase.batch_rows, phase.micro_batches * world_size)
    if rest:
        raise ValueError(
            f"phase {phase.name}: {phase.batch_rows} rows do not divide into {phase.micro_batches} micro-batches "
            f"on {world_size} workers"
        )
    return {
        "train_micro_batch_size_per_gpu": rows,
        "gradient_accumulation_steps": phase.micro_batches,
        "gradient_clipping": phase.adam.max_gradient_norm,
        "zero_optimization": {"stage": options.stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": sys.maxsize,
    }


def check_compiler() -> None:
    """Raise `MissingCompilerError` naming the packages where DeepSpeed could not compile its communication op.

    This environment's own programs (ninja) are put on the path, as a worker does not inherit an activated shell.
    """
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = programs + os.pathsep + os.environ.get("PATH", "")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    packages = {
        "g++": shutil.which("g++") is not None,
        "ninja-build": shutil.which("ninja") is not None,
        f"python{sys.version_info.major}.{sys.version_info.minor}-dev": headers.is_file(),
    }
    missing = [package for package, present in packages.items() if not present]
    if missing:
        raise MissingCompilerError(
            f"DeepSpeed compiles an op at its first start and lacks {', '.join(missing)}; "
            f"run: apt-get install -y {' '.join(missing)}"
        )


def compile_communication_op() -> None:
    """Compile what DeepSpeed compiles at its first start on a CPU (about a minute), so that no training waits for it.

    Call it in a process of its own, with DS_ACCELERATOR=cpu; later calls find the compiled op in torch's cache.
    """
    check_compiler()
    from deepspeed.ops.op_builder.cpu import ShareMemCommBuilder

    ShareMemCommBuilder().load()


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
