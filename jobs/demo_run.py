"""Runs the demo: claims the folder, does the steps, and writes what it ends with."""

import sys
from pathlib import Path

from rich.console import Console

from jobs.demo import DemoOptions
from jobs.loop_program import loop_steps
from jobs.loop_report import make_report
from jobs.loop_run import LoopRun, open_loop
from jobs.loop_tracking import log_summary
from jobs.progress import RunProgress
from jobs.summary import Summary, write_summary
from jobs.summary_table import LEAST_WIDTH, summary_tables
from jobs.tracking.mlflow_tracker import store_uri
from pipelines.flow.resources import ResourceMonitor

_SUMMARY, _REPORT = "summary.json", "report.html"


def run_demo(options: DemoOptions) -> Summary:
    """Do every step that is not done, then evaluate and report."""
    opened = open_loop(options.recipe, options.seed, options.out, options.tracking_uri)
    console = Console(highlight=False, width=max(LEAST_WIDTH, Console().width))
    steps = loop_steps(options.recordings)
    run = LoopRun(opened.context, opened.folder, opened.tracker, RunProgress(len(steps), console))
    with opened.tracked() as parent, ResourceMonitor() as monitor:
        run.run(steps, monitor)
        summary = make_report(opened.context, run, options.out / _REPORT)
        write_summary(summary, options.out / _SUMMARY)
        log_summary(parent, summary, opened.context)
        for artifact in (_SUMMARY, _REPORT):
            parent.log_artifact(options.out / artifact)
    num_waiting = opened.tracker.close()
    console.print(summary_tables(summary))
    console.print(f"report   {options.out / _REPORT}", soft_wrap=True, markup=False)
    console.print(f"summary  {options.out / _SUMMARY}", soft_wrap=True, markup=False)
    console.print(f"mlflow   {mlflow_command(options.out)}", soft_wrap=True, markup=False)
    if num_waiting:
        console.print(f"{num_waiting} tracking events wait in {options.out} for their server", markup=False)
    return summary


def mlflow_command(out: Path) -> str:
    """The command that shows the run's MLflow store, by the program of this environment."""
    return f"{Path(sys.executable).with_name('mlflow')} ui --backend-store-uri {store_uri(out)}"
