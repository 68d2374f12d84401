"""The training loop: batches from a task, steps by an engine, metrics and checkpoints by callback."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from levo.training.engine import Engine
from levo.training.metrics import model_flops_utilisation
from levo.training.phases import PhaseConfig
from levo.training.schedule import Schedule
from levo.training.workers import Workers

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A micro-batch's part of the batch loss, and its sums of what is measured."""

    loss: Float[Tensor, ""]
    sums: Float64[Tensor, " measure"]


class Task(Protocol[BatchT]):
    """What is learned: micro-batches by step, their loss, and what the summed measures mean."""

    num_measures: int

    def micro_batches(self, step: int, rank: int, world_size: int, device: torch.device) -> Iterable[BatchT]:
        """This worker's micro-batches of step `step`: a function of the step alone, so that a resumed run agrees."""

    def share(self, model: nn.Module, batch: BatchT) -> Share:
        """The loss share of one micro-batch."""

    def metrics(self, sums: Float64[Tensor, " measure"], num_steps: int) -> dict[str, float]:
        """Metrics from sums over the micro-batches, workers and the steps of one logging interval."""

    def work(self, sums: Float64[Tensor, " measure"]) -> "Work":
        """Tokens and floating-point operations in those sums."""


@dataclass(frozen=True, slots=True)
class Work:
    """What an interval computed."""

    num_tokens: float
    operations: float


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """Metrics of the interval that ended with optimiser step `step` (from 1)."""

    step: int
    num_steps: int
    metrics: dict[str, float]
    speed: dict[str, float]


@dataclass(frozen=True, slots=True)
class LoopCallbacks:
    """Where a loop's news goes: `on_log` on every worker with equal metrics, `on_checkpoint` on every worker."""

    on_log: Callable[[LoggedStep], None]
    on_checkpoint: Callable[[int], None]


class NonFiniteGradientError(ArithmeticError):
    """Training came upon a gradient that is infinite or not a number."""


def train(
    engine: Engine,
    workers: Workers,
    task: Task[BatchT],
    phase: PhaseConfig,
    callbacks: LoopCallbacks,
    *,
    start_step: int = 0,
    peak_operations_per_s: float | None = None,
) -> None:
    """Take the phase's steps from `start_step` on; checkpoints fall due after every `checkpoint_every` steps.

    Raises `NonFiniteGradientError` at the step whose gradient is not finite.
    """
    schedule = Schedule(phase.learning_rate, phase.num_steps, phase.warmup_steps, phase.min_learning_rate_ratio)
    engine.model.train()
    interval = _Interval.begun(start_step, task.num_measures, engine.device)
    for step in range(start_step + 1, phase.num_steps + 1):
        for batch in task.micro_batches(step - 1, workers.rank, workers.world_size, engine.device):
            share = task.share(engine.model, batch)
            engine.backward(share.loss)
            interval.sums += share.sums
        rate = schedule.learning_rate(step)
        norm = engine.step(rate)
        if not math.isfinite(norm):
            raise NonFiniteGradientError(f"phase {phase.name}, step {step}: the gradient's norm is {norm}")
        interval.gradient_norms += norm
        if step % phase.log_every == 0 or step == phase.num_steps:
            total, num_steps, wall_s = workers.sum(interval.sums), step - interval.after_step, interval.wall_s
            metrics = task.metrics(total, num_steps)
            metrics |= {"learning_rate": rate, "gradient_norm": interval.gradient_norms / num_steps}
            speed = _speed(task.work(total), num_steps, wall_s, peak_operations_per_s, workers.world_size)
            callbacks.on_log(LoggedStep(step, phase.num_steps, metrics, speed))
            interval = _Interval.begun(step, task.num_measures, engine.device)
        if step % phase.checkpoint_every == 0 and step < phase.num_steps:
            callbacks.on_checkpoint(step)


@dataclass(slots=True, eq=False)
class _Interval:
    """What adds up between two logged steps."""

    after_step: int
    sums: Float64[Tensor, " measure"]
    gradient_norms: float
    begun_s: float

    @classmethod
    def begun(cls, after_step: int, num_measures: int, device: torch.device) -> "_Interval":
        return cls(after_step, torch.zeros(num_measures, dtype=torch.float64, device=device), 0.0, time.perf_counter())

    @property
    def wall_s(self) -> float:
        return time.perf_counter() - self.begun_s


def _speed(
    work: Work, num_steps: int, wall_s: float, peak_operations_per_s: float | None, num_workers: int
) -> dict[str, float]:
    speed = {"steps_per_s": num_steps / wall_s, "tokens_per_s": work.num_tokens / wall_s}
    if peak_operations_per_s is not None:
        peak = peak_operations_per_s * num_workers
        speed["mfu"] = model_flops_utilisation(work.operations / wall_s, peak)
    return speed
