"""`levo train`: stages 1 and 2 of a run, on Ray Train with DeepSpeed."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class TrainOptions(LoopOptions):
    """Pre-train the language model on mixed tokens, then extend it with the AR decoder.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(TrainOptions, args=list(arguments), prog="levo train"), "train")
