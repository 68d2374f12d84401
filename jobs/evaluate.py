"""`levo evaluate`: the ablation table of a run, with `summary.json` and `report.html`."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions


@dataclass(frozen=True, slots=True)
class EvaluateOptions(LoopOptions):
    """Compare control, base, every preference, mixed training and the interpolation on the report prompts.

    Steps before it are done first where they are not; what is done is skipped.
    """


def main(arguments: Sequence[str]) -> int:
    """Read the options, evaluate, print the table."""
    options = tyro.cli(EvaluateOptions, args=list(arguments), prog="levo evaluate")

    from jobs.demo import DemoOptions
    from jobs.demo_run import run_demo

    run_demo(DemoOptions(options.seed, options.run, options.recipe, None, options.tracking_uri))
    return 0
