"""`report.html`: one file with its style, script and sounds inside; it works in a sandboxed frame and offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jobs.report.charts import distribution_rows, legend, line_chart
from jobs.report.data import Curve, Distribution, Funnel, Recording, ReportData
from jobs.report.data_section import cost_table, fact_table, funnel_figure
from jobs.report.listening_section import prompt_card, recording_card
from jobs.report.markup import Markup, element, join
from jobs.report.results_section import MODEL_NAMES, metric_title, results_table
from jobs.summary import Summary
from levo.song.files import write_bytes_atomically


@dataclass(frozen=True, slots=True)
class _Section:
    anchor: str
    title: str
    content: list[Markup]
    in_columns: bool = False


def write_report(data: ReportData, folder: Path, out: Path) -> None:
    """Write the page; the files of its clips are read from `folder`."""
    write_bytes_atomically(out, ("<!doctype html>\n" + report_page(data, folder).text + "\n").encode())


def write_recordings_page(title: str, funnel: Funnel, recordings: Sequence[Recording], folder: Path, out: Path) -> None:
    """Write a page of prepared recordings alone, with the same players."""
    sections = [
        _Section("data", "Data", [funnel_figure(funnel)]),
        _Section("recordings", "Recordings", [recording_card(recording, folder) for recording in recordings]),
    ]
    page = _page(title, None, sections)
    write_bytes_atomically(out, ("<!doctype html>\n" + page.text + "\n").encode())


def report_page(data: ReportData, folder: Path) -> Markup:
    """The whole page; sections without content are left out."""
    return _page(data.title, _run_facts(data), _sections(data, folder))


def _page(title: str, facts: Markup | None, all_sections: Sequence[_Section]) -> Markup:
    sections = [section for section in all_sections if section.content]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", _resource("page.css")),
    )
    body = element(
        "body",
        element("header", element("h1", title), facts),
        element("nav", [element("a", part.title, href=f"#{part.anchor}") for part in sections], aria_label="Sections"),
        element("main", [_section(part) for part in sections]),
        element("script", _resource("page.js")),
    )
    return element("html", head, body, lang="en")


def _sections(data: ReportData, folder: Path) -> list[_Section]:
    return [
        _Section("results", "Results", [results_table(data.summary), _reading_help()]),
        _Section("details", "Details", [fact_table(table) for table in data.details], in_columns=True),
        _Section("listening", "Listening", [prompt_card(prompt, folder) for prompt in data.prompts]),
        _Section("curves", "Learning curves", [_curve(curve) for curve in data.curves], in_columns=True),
        _Section(
            "scores", "Scores", [_distribution(entry, data.summary) for entry in data.distributions], in_columns=True
        ),
        _Section("judges", "Judges", [fact_table(table) for table in data.judges], in_columns=True),
        _Section("pairs", "Preference pairs", [fact_table(table) for table in data.preferences], in_columns=True),
        _Section("data", "Data", [funnel_figure(funnel) for funnel in data.funnels]),
        _Section("labels", "Labels", [fact_table(table) for table in data.labels], in_columns=True),
        _Section("recordings", "Real recordings", [recording_card(recording, folder) for recording in data.recordings]),
        _Section("cost", "Cost", [cost_table(data.summary)]),
        _Section("limits", "Limits", [element("ul", element("li", note)) for note in data.notes]),
    ]


def _section(section: _Section) -> Markup:
    content = element("div", section.content, class_="columns") if section.in_columns else join(section.content)
    return element("section", element("h2", section.title), content, id=section.anchor)


def _run_facts(data: ReportData) -> Markup:
    summary = data.summary
    facts = [
        ("recipe", summary.recipe),
        ("seed", str(summary.seed)),
        ("date", data.date),
        ("machine", data.machine),
        ("wall time", f"{summary.wall_s / 60:.1f} min"),
        ("peak memory", f"{summary.peak_memory_bytes / 2**30:.2f} GiB"),
        ("versions", ", ".join(f"{name} {version}" for name, version in summary.versions.items())),
    ]
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in facts])


def _reading_help() -> Markup:
    return element(
        "p",
        "Beside each value its 95 % interval over prompts, below it the difference from base with the interval of the "
        "paired bootstrap. ▲ better and ▼ worse where that interval leaves zero out, ≈ where it does not. "
        "A held-out judge never made a preference pair; a gain counts when such a judge sees it too.",
        class_="caption",
    )


def _curve(curve: Curve) -> Markup:
    chart = line_chart([(line.name, line.steps, line.values) for line in curve.series], curve.title, curve.unit)
    return element("div", chart, legend([line.name for line in curve.series]))


def _distribution(distribution: Distribution, summary: Summary) -> Markup:
    facts = summary.metrics.get(distribution.metric)
    rows = {MODEL_NAMES.get(name, name).split(" (")[0]: v for name, v in distribution.values_by_model.items()}
    return distribution_rows(rows, metric_title(distribution.metric), facts.unit if facts else "score")


def _resource(name: str) -> Markup:
    return Markup(resources.files("jobs.report").joinpath(name).read_text(encoding="utf-8"))
