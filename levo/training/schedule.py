"""The learning rate over a phase: linear warm-up, then a cosine down to a floor that is kept."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate by optimiser step; `cycle_length` 1 means one half cosine over the steps after warm-up."""

    peak: float
    num_steps: int
    warmup_steps: int = 0
    min_ratio: float = 0.1
    cycle_length: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_steps <= self.num_steps:
            raise ValueError(f"warm-up of {self.warmup_steps} steps in a phase of {self.num_steps}; expected 0 to that")
        if not 0.0 <= self.min_ratio <= 1.0:
            raise ValueError(f"floor of {self.min_ratio} of the peak; expected 0 to 1")

    def learning_rate(self, step: int) -> float:
        """The rate of optimiser step `step`; step 0 of a warm-up stands still, so a loop counts its updates from 1."""
        return self.peak * self._ratio(step)

    def _ratio(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step > self.num_steps or self.num_steps == self.warmup_steps:
            return self.min_ratio if step > self.num_steps else 1.0
        fraction = (step - self.warmup_steps) / (self.num_steps - self.warmup_steps)
        return self.min_ratio + (1.0 - self.min_ratio) * 0.5 * (1.0 + math.cos(math.pi * fraction / self.cycle_length))
