"""What the commands of single steps share: a run's folder and recipe, and doing everything up to a step."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Which run a step belongs to; steps before it are done first where they are not."""

    run: Path = Path("out/demo")
    """The run's folder."""
    recipe: str = "demo"
    """The recipe it was begun with: demo or tiny."""
    seed: int = 0
    """The seed it was begun with."""
    tracking_uri: str | None = None
    """An MLflow server; without one the run keeps a store of its own, and `none` keeps JSON lines alone."""


def run_until(options: LoopOptions, last_step: str) -> int:
    """Do the loop's steps up to and including one, skipping what is done; prints that step's result as JSON."""
    import json

    from rich.console import Console

    from jobs.loop_program import loop_steps
    from jobs.loop_run import LoopRun, open_loop
    from jobs.progress import RunProgress
    from pipelines.flow.resources import ResourceMonitor

    steps = loop_steps(None)
    names = [step.name for step in steps]
    chosen = steps[: names.index(last_step) + 1]
    opened = open_loop(options.recipe, options.seed, options.run, options.tracking_uri)
    run = LoopRun(opened.context, opened.folder, opened.tracker, RunProgress(len(chosen), Console(highlight=False)))
    with opened.tracked(), ResourceMonitor() as monitor:
        run.run(chosen, monitor)
    opened.tracker.close()
    print(json.dumps(run.results[last_step], indent=1, default=str))
    return 0
