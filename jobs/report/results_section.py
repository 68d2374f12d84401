"""The report's main table: every model by every metric, with its difference from the base and the interval of it."""

from jobs.report.charts import interval_mark, number_text
from jobs.report.markup import Content, Markup, element
from jobs.summary import Difference, Measurement, MetricFacts, Summary
from jobs.summary_table import is_better

MODEL_NAMES = {
    "control": "control (rendered songs)",
    "base": "base",
    "lyric": "DPO: lyrics",
    "prompt": "DPO: prompt",
    "musicality": "DPO: musicality",
    "mixed": "DPO: mixed",
    "interpolated": "interpolated",
}


def results_table(summary: Summary) -> Markup:
    """Rows are models, columns metrics; columns of judges that never made a pair are marked as held out."""
    extents = {name: _extent(summary, name) for name in summary.metrics}
    heads = [_column_head(name, facts) for name, facts in summary.metrics.items()]
    rows: list[Content] = []
    for model in MODEL_NAMES:
        cells = [_cell(summary.models[model][name], facts, extents[name]) for name, facts in summary.metrics.items()]
        rows.append(element("tr", element("th", MODEL_NAMES[model], scope="row"), cells, class_=f"model-{model}"))
    table = element(
        "table",
        element("thead", element("tr", element("th", "model", scope="col"), heads)),
        element("tbody", rows),
        class_="results",
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Results by model and metric")


def metric_title(name: str) -> str:
    """A metric's name as a person writes it."""
    return name.replace("_", " ")


def _column_head(name: str, facts: MetricFacts) -> Markup:
    better = "↓ lower is better" if facts.better == "lower" else "↑ higher is better"
    badge = element("span", "held out", class_="badge", title="this judge never made a preference pair")
    return element(
        "th",
        element("span", metric_title(name), class_="metric"),
        element("small", f"{better}; {facts.unit}"),
        badge if facts.judge == "held_out" else None,
        scope="col",
    )


def _cell(measurement: Measurement, facts: MetricFacts, extent: float) -> Markup:
    if measurement.value is None:
        return element("td", element("small", f"missing: {measurement.missing}"), class_="missing")
    interval = measurement.interval
    low_high = f"[{number_text(interval[0])}, {number_text(interval[1])}]" if interval else None
    return element(
        "td",
        element("span", number_text(measurement.value), class_="value"),
        element("small", low_high) if low_high else None,
        _difference(measurement.difference, facts, extent) if measurement.difference else None,
    )


def _difference(difference: Difference, facts: MetricFacts, extent: float) -> Markup:
    low, high = difference.interval
    kind, sign = _verdict(difference, facts)
    return element(
        "div",
        interval_mark(difference.value, low, high, extent, kind),
        element("span", f"{sign} {difference.value:+.3f} [{low:+.3f}, {high:+.3f}]"),
        class_=f"difference {kind}",
        title=f"{kind}: difference from base, 95 % interval of the paired bootstrap",
    )


def _verdict(difference: Difference, facts: MetricFacts) -> tuple[str, str]:
    if not difference.excludes_zero:
        return "unclear", "≈"
    return ("better", "▲") if is_better(difference.value, facts) else ("worse", "▼")


def _extent(summary: Summary, name: str) -> float:
    """Half the width of a column's difference axis: the furthest end of the models' intervals, the control left out."""
    differences = [
        measurements[name].difference for model, measurements in summary.models.items() if model != "control"
    ]
    ends = [abs(end) for difference in differences if difference is not None for end in difference.interval]
    return max(ends, default=0.0) * 1.05 or 1.0
