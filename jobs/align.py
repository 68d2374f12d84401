"""`levo align`: one DPO run a preference and one on their union, on Ray Train with DeepSpeed."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class AlignOptions(LoopOptions):
    """Align the base on every preference, and on all of them together.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(AlignOptions, args=list(arguments), prog="levo align"), "align")
