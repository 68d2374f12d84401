"""How much the preflight of a preference run tries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """How much is tried: so many steps, at the run's own learning rate, on so many pairs; rows are songs at a time."""

    num_steps: int = 8
    num_pairs: int = 32
    batch_rows: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_pairs", "batch_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"preflight's {name} is {getattr(self, name)}; expected at least 1")


SHORT_TRIAL = TrialConfig()
