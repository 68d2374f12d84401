"""`levo evaluate`: the ablation table of a run, with `summary.json` and `report.html`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tyro

from jobs.loop_command import LoopOptions


@dataclass(frozen=True, slots=True)
class EvaluateOptions(LoopOptions):
    """Compare control, base, every preference, mixed training and the interpolation on the report prompts.

    Steps before it are done first where they are not; what is done is skipped. `levo evaluate labels` holds a corpus's
    labels to reference labels, `levo evaluate songs` judges any songs by the papers' metrics.
    """

    ablation: Literal["dpo", "stages"] = "dpo"
    """`stages` adds models without stage 2, AR decoder and dual tracks (two more trainings), and
    `ablation-stages.json`."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, evaluate, print the table; `labels` or `songs` as the first word evaluates those instead."""
    if arguments and arguments[0] == "labels":
        from jobs.evaluate_labels import main as evaluate_labels

        return evaluate_labels(arguments[1:])
    if arguments and arguments[0] == "songs":
        from jobs.evaluate_songs import main as evaluate_songs

        return evaluate_songs(arguments[1:])
    options = tyro.cli(EvaluateOptions, args=list(arguments), prog="levo evaluate")

    from jobs.demo import DemoOptions
    from jobs.demo_run import run_demo

    run_demo(DemoOptions(options.seed, options.run, options.recipe, None, options.tracking_uri))
    if options.ablation == "stages":
        from jobs.ablation import run_stage_ablation

        run_stage_ablation(options)
    return 0
