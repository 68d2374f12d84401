"""`levo report`: write the report of a finished run again, from the records that it kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Write report.html from the records of a run."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder, as `levo demo --out` named it."""
    out: Path | None = None
    """The page to write; report.html in the run's folder unless given."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, write the page, say where it is."""
    options = tyro.cli(ReportOptions, prog="levo report", args=list(arguments))
    from jobs.report.data import load_report_data, report_folder
    from jobs.report.page import write_report

    folder = report_folder(options.run)
    out = options.out or options.run / "report.html"
    write_report(load_report_data(folder), folder, out)
    print(out)
    return 0
