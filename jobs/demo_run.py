"""Runs the demo: claims the folder, does the steps, and writes what it ends with."""

import importlib.metadata
from pathlib import Path

from rich.console import Console

from jobs.demo import DemoOptions
from jobs.loop_program import loop_steps
from jobs.loop_report import make_report
from jobs.loop_run import LoopRun, run_folder_of
from jobs.progress import RunProgress
from jobs.recipes.loop import recipe_named
from jobs.summary import Summary, write_summary
from jobs.summary_table import summary_tables
from jobs.tracking.mlflow_tracker import open_tracker, store_uri
from pipelines.flow.resources import ResourceMonitor
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces

_SUMMARY, _REPORT = "summary.json", "report.html"


def run_demo(options: DemoOptions) -> Summary:
    """Do every step that is not done, then evaluate and report."""
    config = recipe_named(options.recipe, options.seed)
    context = LoopContext(config, RunPlaces(options.out))
    folder = run_folder_of(options.out, context, importlib.metadata.version("levo"))
    tracker = open_tracker(options.out, options.tracking_uri)
    console = Console(highlight=False)
    steps = loop_steps(options.recordings)
    parent = tracker.run(folder.key, f"{config.recipe}-seed{config.seed}")
    run = LoopRun(context, folder, tracker, RunProgress(len(steps), console))
    with ResourceMonitor() as monitor:
        run.run(steps, monitor)
        summary = make_report(context, run, folder, monitor.peak_memory_bytes, options.out / _REPORT)
    write_summary(summary, options.out / _SUMMARY)
    for artifact in (_SUMMARY, _REPORT):
        parent.log_artifact(options.out / artifact)
    parent.finish()
    num_waiting = tracker.close()
    console.print(summary_tables(summary))
    console.print(f"report   {options.out / _REPORT}", soft_wrap=True, markup=False)
    console.print(f"summary  {options.out / _SUMMARY}", soft_wrap=True, markup=False)
    console.print(f"mlflow   {mlflow_command(options.out)}", soft_wrap=True, markup=False)
    if num_waiting:
        console.print(f"{num_waiting} tracking events wait in {options.out} for their server", markup=False)
    return summary


def mlflow_command(out: Path) -> str:
    """The command that shows the run's MLflow store."""
    return f"mlflow ui --backend-store-uri {store_uri(out)}"
