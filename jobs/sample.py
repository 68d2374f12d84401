"""`levo sample`: candidates of the base for a run's pair prompts, from Ray Serve."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class SampleOptions(LoopOptions):
    """Draw several songs for every pair prompt.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(SampleOptions, args=list(arguments), prog="levo sample"), "sample")
