"""The end of a run on the terminal: the ablation table and what each step cost."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.summary import Measurement, MetricFacts, StepCost, Summary


def summary_tables(summary: Summary) -> Group:
    """Both tables; print them with a rich console."""
    parts: list[RenderableType] = [ablation_table(summary), cost_table(summary)]
    return Group(*parts)


def ablation_table(summary: Summary) -> Table:
    """One row a model, one column a metric; below each value its difference from the base."""
    title = f"{summary.recipe}, seed {summary.seed}: differences from base with 95 % intervals"
    table = Table(title=title, show_lines=True)
    table.add_column("model", style="bold")
    for name, facts in summary.metrics.items():
        table.add_column(_heading(name, facts), justify="right")
    for model, measurements in summary.models.items():
        cells = [_cell(measurements[name], facts) for name, facts in summary.metrics.items()]
        table.add_row(model, *cells)
    return table


def cost_table(summary: Summary) -> Table:
    """Seconds by step, in order, and the peak memory in the caption."""
    table = Table(title="steps", caption=f"peak memory {summary.peak_memory_bytes / 2**30:.2f} GiB")
    table.add_column("step")
    table.add_column("wall, s", justify="right")
    table.add_column("CPU, s", justify="right")
    for step in summary.steps:
        table.add_row(_step_name(step), f"{step.wall_s:.1f}", f"{step.cpu_s:.1f}", style="dim" if step.skipped else "")
    table.add_section()
    table.add_row("total", f"{summary.wall_s:.1f}", f"{sum(step.cpu_s for step in summary.steps):.1f}")
    return table


def is_better(value: float, facts: MetricFacts) -> bool:
    """Whether a difference of this sign is an improvement."""
    return value < 0 if facts.better == "lower" else value > 0


def _heading(name: str, facts: MetricFacts) -> str:
    arrow = "↓" if facts.better == "lower" else "↑"
    held_out = "\n(held out)" if facts.judge == "held_out" else ""
    return f"{name.replace('_', ' ')} {arrow}{held_out}"


def _step_name(step: StepCost) -> str:
    return f"{step.name} (done before)" if step.skipped else step.name


def _cell(measurement: Measurement, facts: MetricFacts) -> Text:
    if measurement.value is None:
        return Text(f"missing: {measurement.missing}", style="dim italic")
    text = Text(f"{measurement.value:.3f}")
    difference = measurement.difference
    if difference is not None:
        low, high = difference.interval
        style = ("green" if is_better(difference.value, facts) else "red") if difference.excludes_zero else "dim"
        text.append(f"\n{difference.value:+.3f} [{low:+.3f}, {high:+.3f}]", style=style)
    return text
