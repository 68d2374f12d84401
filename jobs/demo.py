"""`levo demo`: the whole loop on this machine, ending with a table, `summary.json` and `report.html`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Render a corpus, label it, train a song model, align it on three preferences, merge, and evaluate.

    Run again, it skips what is done; interrupted, it goes on where it was.
    """

    seed: int = 0
    """Changes corpus, initialisation, order, sampling and prompts."""
    out: Path = Path("out/demo")
    """The run's folder."""
    recipe: str = "demo"
    """Which recipe: demo, or tiny (a minute or two, learns nothing)."""
    recordings: Path | None = None
    """A folder of real recordings to separate, tokenize and label as well."""
    tracking_uri: str | None = None
    """An MLflow server; without one the run keeps a store of its own, and `none` keeps JSON lines alone."""


def main(arguments: Sequence[str]) -> int:
    """Run the loop; errors name what is wrong and leave what was done."""
    options = tyro.cli(DemoOptions, args=list(arguments), prog="levo demo")

    from jobs.demo_run import run_demo

    run_demo(options)
    return 0
