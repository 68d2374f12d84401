"""The report's account of the data: what each stage let through, what it refused and why, and the small tables."""

from jobs.report.data import FactTable, Funnel, FunnelStage
from jobs.report.markup import Markup, element
from jobs.summary import Summary


def funnel_figure(funnel: Funnel) -> Markup:
    """The stages of a flow as bars, with the refusals of each by reason."""
    widest = max((stage.num_in for stage in funnel.stages), default=0) or 1
    rows = [_stage_row(stage, widest) for stage in funnel.stages]
    head = [element("th", name, scope="col") for name in ("stage", "in", "out", "", "refused")]
    table = element("table", element("thead", element("tr", head)), element("tbody", rows), class_="funnel")
    return element("figure", element("figcaption", funnel.title), element("div", table, class_="scroll"))


def fact_table(table: FactTable) -> Markup:
    """A small table under its title."""
    head = element("tr", [element("th", name, scope="col") for name in table.columns])
    rows = [
        element("tr", element("th", row[0], scope="row"), [element("td", cell) for cell in row[1:]])
        for row in table.rows
    ]
    body = element("table", element("thead", head), element("tbody", rows), class_="facts")
    caption = element("p", table.caption, class_="caption") if table.caption else None
    return element("figure", element("figcaption", table.title), caption, element("div", body, class_="scroll"))


def cost_table(summary: Summary) -> Markup:
    """Seconds by step, in order."""
    widest = max((step.wall_s for step in summary.steps), default=0.0) or 1.0
    rows = [
        element(
            "tr",
            element("th", step.name, scope="row"),
            element("td", f"{step.wall_s:.1f}", class_="count"),
            element("td", f"{step.cpu_s:.1f}", class_="count"),
            element("td", _bar(kept=step.wall_s / widest), class_="wide"),
            element("td", "done before" if step.skipped else ""),
        )
        for step in summary.steps
    ]
    head = [element("th", name, scope="col") for name in ("step", "wall, s", "CPU, s", "", "")]
    table = element("table", element("thead", element("tr", head)), element("tbody", rows), class_="funnel")
    return element("div", table, class_="scroll")


def _stage_row(stage: FunnelStage, widest: int) -> Markup:
    reasons = [element("li", f"{reason}: {count:,}") for reason, count in sorted(stage.refusals.items())]
    bar = _bar(kept=stage.num_out / widest, refused=(stage.num_in - stage.num_out) / widest)
    return element(
        "tr",
        element("th", stage.name, scope="row"),
        element("td", f"{stage.num_in:,}", class_="count"),
        element("td", f"{stage.num_out:,}", class_="count"),
        element("td", bar, class_="wide"),
        element("td", element("ul", reasons) if reasons else "none"),
    )


def _bar(*, kept: float, refused: float = 0.0) -> Markup:
    """A bar of two shares of the full width."""
    parts = [
        element("i", class_=kind, style=f"width:{100 * share:.1f}%")
        for kind, share in (("kept", kept), ("refused", refused))
    ]
    return element("div", parts, class_="bar", aria_hidden="true")
