"""The end of a run on the terminal: the ablation tables and what each step cost."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.audio_prompt import audio_prompt_line
from jobs.summary import Measurement, MetricFacts, StepCost, Summary

LEAST_WIDTH = 120
"""Columns that the tables need."""

Metrics = Mapping[str, MetricFacts]
Models = Mapping[str, Mapping[str, Measurement]]


def summary_tables(summary: Summary) -> Group:
    """All tables; print them with a rich console of at least `LEAST_WIDTH` columns."""
    head = f"{summary.recipe}, seed {summary.seed}"
    parts: list[RenderableType] = [
        *ablation_tables(head, summary.metrics, summary.models),
        *_absent_lines(summary.metrics, summary.models),
        Text(audio_prompt_line(summary.audio_prompt)),
        cost_table(summary),
    ]
    return Group(*parts)


def ablation_tables(head: str, metrics: Metrics, models: Models, compared_with: str = "base") -> list[Table]:
    """One row a model; a table for the judges that make pairs, and one for the held-out judges."""
    tables = []
    for judge, title in (("training", "judges that make pairs"), ("held_out", "held-out judges")):
        names = [name for name, facts in metrics.items() if facts.judge == judge and not _absence(models, name)]
        if names:
            told = f"{head}, {title}: differences from {compared_with} with 95 % intervals"
            tables.append(_ablation_table(told, metrics, models, names))
    return tables


def _ablation_table(head: str, metrics: Metrics, models: Models, names: list[str]) -> Table:
    table = Table(title=head, show_lines=True)
    table.add_column("model", style="bold", no_wrap=True)
    for name in names:
        table.add_column(_heading(name, metrics[name]), justify="right")
    for model, measurements in models.items():
        table.add_row(model, *(_cell(measurements[name], metrics[name]) for name in names))
    return table


def _absence(models: Models, name: str) -> str | None:
    """Why no model has a value of this metric, or None where one has."""
    measurements = [row[name] for row in models.values()]
    return measurements[0].missing if all(one.value is None for one in measurements) else None


def _absent_lines(metrics: Metrics, models: Models) -> list[Text]:
    reasons = {name: _absence(models, name) for name in metrics}
    return [
        Text(f"{_heading(name, metrics[name]).replace(chr(10), ' ')}  missing: {reason}", style="dim")
        for name, reason in reasons.items()
        if reason
    ]


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
