"""`levo merge`: the interpolation of a run's aligned models, its coefficients chosen on the search prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class MergeOptions(LoopOptions):
    """Try the recipe's mixtures on the search prompts and keep the best within the limits.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(MergeOptions, args=list(arguments), prog="levo merge"), "choose")
