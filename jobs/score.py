"""`levo score`: a run's candidates through the corpus's stages and the judges, on Ray Data."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class ScoreOptions(LoopOptions):
    """Decode, label and judge every candidate.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    return run_until(tyro.cli(ScoreOptions, args=list(arguments), prog="levo score"), "score")
