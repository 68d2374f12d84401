"""The page holds what the records hold: escaped, self-contained, in order, and the same after a round trip."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from jobs.report.audio import data_uri, store_clip
from jobs.report.command import main
from jobs.report.data import (
    Clip,
    Curve,
    Distribution,
    FactTable,
    Funnel,
    FunnelStage,
    ListeningPrompt,
    Recording,
    ReportData,
    Series,
    Take,
    load_report_data,
    save_report_data,
)
from jobs.report.page import report_page, write_report
from jobs.summary import (
    MODEL_ROWS,
    Difference,
    Measurement,
    MetricFacts,
    StepCost,
    Summary,
    missing_measurement,
)
from levo.song.waveform import Waveform

_HOSTILE = '</script><script>alert(1)</script> "quoted" <img src=x onerror=alert(2)> & \' `'
_METRICS = {
    "phoneme_error_rate": MetricFacts("lower", "errors per phoneme", "training"),
    "similarity_to_text": MetricFacts("higher", "cosine", "training"),
    "similarity_to_prompt": MetricFacts("higher", "cosine", "training"),
    "musicality": MetricFacts("higher", "standard deviations of clean songs", "training"),
    "pocketsphinx_phoneme_error_rate": MetricFacts("lower", "errors per phoneme", "held_out"),
    "tag_agreement": MetricFacts("higher", "share of checkable tags", "held_out"),
    "frechet_audio_distance": MetricFacts("lower", "distance", "held_out"),
}


class _Elements(HTMLParser):
    """Collects the elements of a page and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _parse(page: str) -> _Elements:
    parser = _Elements()
    parser.feed(page)
    return parser


def _summary() -> Summary:
    generator = np.random.default_rng(0)
    models: dict[str, dict[str, Measurement]] = {}
    for row, model in enumerate(MODEL_ROWS):
        models[model] = {}
        for name, facts in _METRICS.items():
            value = 0.3 + 0.05 * row * (-1 if facts.better == "lower" else 1) * (0.2 if "tag" in name else 1)
            shift = value - 0.3
            difference = None if model == "base" else Difference(shift, (shift - 0.04, shift + 0.05))
            models[model][name] = Measurement(value, (value - 0.03, value + 0.03), difference)
        models[model]["frechet_audio_distance"] = missing_measurement("no audio embedding model is installed")
    steps = tuple(
        StepCost(name, float(generator.uniform(2, 120)), float(generator.uniform(2, 200)), skipped=name == "render")
        for name in ("render", "fit judges", "corpus", "train", "sample", "score", "pair", "align", "evaluate")
    )
    versions = {"python": "3.11.7", "torch": "2.13.0", "ray": "2.60.0"}
    trial = {
        "right": Measurement(0.5, (0.4, 0.6), Difference(0.8, (0.7, 0.9))),
        "wrong": Measurement(-0.3, (-0.4, -0.2)),
    }
    return Summary("demo", 0, versions, steps, _METRICS, models, trial, 6 * 2**30)


def _song(seed: int, duration_s: float = 0.5) -> Waveform:
    generator = np.random.default_rng(seed)
    time_s = np.arange(int(16_000 * duration_s)) / 16_000
    loudness = np.abs(np.sin(2 * np.pi * (1 + seed % 3) * time_s))
    samples = 0.5 * loudness * np.sin(2 * np.pi * 220 * time_s) + 0.01 * generator.standard_normal(len(time_s))
    return Waveform(samples.astype(np.float32)[None], 16_000)


def make_report(folder: Path, lyrics: str = "[verse] sun moon. rain ; [chorus] fire fire.") -> ReportData:
    """A report of invented figures, with sounds in the folder."""
    generator = np.random.default_rng(1)
    expected = ("S", "AH", "N", "M", "UW", "N", "R", "EY", "N")
    heard = ("S", "AH", "M", "M", "UW", "N", "EY", "N", "T")
    takes = tuple(
        Take(
            model,
            store_clip(_song(number), folder, f"p1-{model}", f"{model}, prompt 1"),
            expected if model == "control" else heard,
            ("sun", "moon", "rain"),
            {"phoneme_error_rate": 0.1 * number, "similarity_to_text": 0.4, "musicality": None},
        )
        for number, model in enumerate(MODEL_ROWS)
    )
    steps = tuple(float(step) for step in range(0, 1200, 3))
    curves = tuple(
        Curve(
            title,
            "nats",
            tuple(
                Series(name, steps, tuple(4 * np.exp(-np.array(steps) / 300 / (number + 1)) + 0.5 + number * 0.2))
                for number, name in enumerate(("mixed", "vocal", "accompaniment"))
            ),
        )
        for title in ("Pre-training loss", "Extension loss", "DPO loss")
    )
    distributions = tuple(
        Distribution(
            name, {model: tuple(generator.normal(0.3 + 0.02 * i, 0.1, 96)) for i, model in enumerate(MODEL_ROWS)}
        )
        for name in ("phoneme_error_rate", "similarity_to_text", "musicality")
    )
    funnel = Funnel(
        "Rendered corpus",
        (
            FunnelStage("decode", 1600, 1597, {"unreadable": 2, "silent": 1}),
            FunnelStage("separate", 1597, 1597, {}),
            FunnelStage("label", 1597, 1540, {"no lyrics recognised": 57}),
        ),
    )
    table = FactTable("Judge noise", "standard deviation", ("judge", "noise"), (("phoneme error", "0.012"),))
    prompt = ListeningPrompt(
        "report-0001",
        lyrics,
        "female, dark, pop, sad, piano and drums, the bpm is 125.",
        expected,
        store_clip(_song(9), folder, "prompt", "audio prompt"),
        takes,
    )
    recording = Recording(
        "fantasma.mp3",
        92.2,
        "labelled",
        "[verse] hello",
        ("verse", "chorus"),
        ("female", "piano"),
        tuple(store_clip(_song(n), folder, f"real-{n}", c) for n, c in enumerate(("original", "vocal", "decoded"))),
    )
    return ReportData(
        "The closed loop, demo recipe",
        "2026-11-20T12:00:00Z",
        "2 cores, 24 GiB, no GPU",
        _summary(),
        (table,),
        curves,
        distributions,
        (funnel,),
        (table,),
        (table, table),
        (table,),
        (prompt,),
        (recording,),
        ("The embedded world has 24 words.",),
    )


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path) -> None:
    data = make_report(tmp_path, lyrics=_HOSTILE)
    harmless = _parse(report_page(make_report(tmp_path), tmp_path).text)
    take = replace(data.prompts[0].takes[0], phonemes=(_HOSTILE,), words=(_HOSTILE,), scores={_HOSTILE: 1.0})
    prompt = replace(
        data.prompts[0], prompt_id=_HOSTILE, description=_HOSTILE, takes=(take, *data.prompts[0].takes[1:])
    )
    stage = FunnelStage(_HOSTILE, 1, 0, {_HOSTILE: 1})
    hostile = replace(
        data,
        title=_HOSTILE,
        machine=_HOSTILE,
        prompts=(prompt,),
        funnels=(Funnel(_HOSTILE, (stage,)),),
        notes=(_HOSTILE,),
    )
    page = _parse(report_page(hostile, tmp_path).text)
    assert sum(tag == "script" for tag, _ in page.elements) == sum(tag == "script" for tag, _ in harmless.elements) == 1
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    assert "".join(page.text).count(_HOSTILE) >= 8


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = report_page(make_report(tmp_path), tmp_path).text
    addresses = [
        value
        for _, attributes in _parse(page).elements
        for key, value in attributes.items()
        if key in ("src", "href", "data", "action") and value is not None
    ]
    assert addresses
    assert [address[:40] for address in addresses if not address.startswith(("#", "data:audio/"))] == []
    assert re.findall(r"url\(|@import|localStorage|document\.cookie|fetch\(", page) == []


def test_every_anchor_leads_somewhere_and_every_model_and_metric_is_shown(tmp_path: Path) -> None:
    page = _parse(report_page(make_report(tmp_path), tmp_path).text)
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    anchors = [str(attributes["href"])[1:] for tag, attributes in page.elements if tag == "a"]
    assert anchors == identifiers
    rows = [str(attributes.get("class")) for tag, attributes in page.elements if tag == "tr"]
    assert [row for row in rows if row.startswith("model-")] == [f"model-{model}" for model in MODEL_ROWS]
    text = "".join(page.text)
    assert text.count("missing: no audio embedding model is installed") == len(MODEL_ROWS)
    assert text.count("held out") == 3
    assert "no lyrics recognised: 57" in text


def test_empty_sections_are_left_out(tmp_path: Path) -> None:
    empty = replace(
        make_report(tmp_path),
        details=(),
        curves=(),
        distributions=(),
        funnels=(),
        labels=(),
        judges=(),
        preferences=(),
        prompts=(),
        recordings=(),
        notes=(),
    )
    page = _parse(report_page(empty, tmp_path).text)
    assert [attributes["id"] for _, attributes in page.elements if "id" in attributes] == ["results", "cost"]


def test_a_difference_is_called_better_in_the_direction_of_its_metric(tmp_path: Path) -> None:
    data = make_report(tmp_path)
    measurement = Measurement(0.2, (0.1, 0.3), Difference(-0.1, (-0.15, -0.05)))
    for metric, verdict in (("phoneme_error_rate", "▲ -0.100"), ("similarity_to_text", "▼ -0.100")):
        facts = {metric: _METRICS[metric]}
        models = {model: {metric: measurement} for model in MODEL_ROWS}
        summary = replace(data.summary, metrics=facts, models=models)
        assert verdict in report_page(replace(data, summary=summary), tmp_path).text


def test_records_and_page_survive_a_round_trip_and_the_command_writes_the_same_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    data = make_report(folder)
    save_report_data(data, folder)
    assert load_report_data(folder) == data
    write_report(data, folder, tmp_path / "first.html")
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_bytes() == (tmp_path / "first.html").read_bytes()
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")


def test_a_folder_without_records_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no report\.json"):
        main([str(tmp_path)])


def test_a_clip_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "secret").write_text("key")
    with pytest.raises(ValueError, match="outside"):
        data_uri(Clip("x", "../secret"), tmp_path / "report")


def test_stage_counts_must_add_up() -> None:
    with pytest.raises(ValueError, match="10 in, 8 out, 1 refused"):
        FunnelStage("decode", 10, 8, {"silent": 1})
