"""`levo pair`: preference pairs of a run, on every axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class PairOptions(LoopOptions):
    """Pair candidates whose gap exceeds the margin and the judge's noise.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(PairOptions, args=list(arguments), prog="levo pair"), "pair")
