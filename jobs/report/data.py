"""What a report shows, as plain records; sounds are files in the folder that the records are kept in.

Every record is what its JSON is (`report.json`), so that a finished run's report can be written again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.summary import Summary
from levo.song.files import write_json
from pipelines.flow.typed_json import read_record

DATA_FILE = "report.json"


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a curve: values at steps."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values):
            raise ValueError(
                f"series {self.name!r}: {len(self.steps)} steps, {len(self.values)} values; expected as many"
            )


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve: the lines of one quantity over training steps."""

    title: str
    unit: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The scores of one metric, song by song, for each model."""

    metric: str
    values_by_model: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class FunnelStage:
    """One stage of a flow: what came in, what went on, and what was refused by reason."""

    name: str
    num_in: int
    num_out: int
    refusals: dict[str, int]

    def __post_init__(self) -> None:
        refused = sum(self.refusals.values())
        if self.num_out + refused != self.num_in:
            raise ValueError(
                f"stage {self.name!r}: {self.num_in} in, {self.num_out} out, {refused} refused; expected them to add up"
            )


@dataclass(frozen=True, slots=True)
class Funnel:
    """The stages of one flow, in order."""

    title: str
    stages: tuple[FunnelStage, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound to play: its caption and its file, relative to the report's folder."""

    caption: str
    file: str


@dataclass(frozen=True, slots=True)
class Take:
    """One model's song for a prompt: the sound, what the recogniser heard in it, and its scores by metric."""

    model: str
    clip: Clip
    phonemes: tuple[str, ...]
    words: tuple[str, ...]
    scores: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class ListeningPrompt:
    """One prompt and every model's song for it; `phonemes` are those of the lyrics."""

    prompt_id: str
    lyrics: str
    description: str
    phonemes: tuple[str, ...]
    audio_prompt: Clip | None
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A real recording after the corpus flow: its labels, or why it was refused, and what it sounds like now."""

    name: str
    duration_s: float
    status: str
    lyrics: str
    sections: tuple[str, ...]
    tags: tuple[str, ...]
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class FactTable:
    """A small table of finished text: label quality, judge noise, agreement, pair counts."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.title!r}: row {row} has {len(row)} cells; expected {len(self.columns)}")


@dataclass(frozen=True, slots=True)
class ReportData:
    """A whole report. `date` is ISO 8601; `machine` says in words where it ran; notes are the limits to print.

    `details` stand below the main table: results on long songs, controls such as shuffled lyrics, chosen coefficients.
    """

    title: str
    date: str
    machine: str
    summary: Summary
    details: tuple[FactTable, ...]
    curves: tuple[Curve, ...]
    distributions: tuple[Distribution, ...]
    funnels: tuple[Funnel, ...]
    labels: tuple[FactTable, ...]
    judges: tuple[FactTable, ...]
    preferences: tuple[FactTable, ...]
    prompts: tuple[ListeningPrompt, ...]
    recordings: tuple[Recording, ...]
    notes: tuple[str, ...]


def report_folder(run: Path) -> Path:
    """Where a run keeps its report's records and sounds."""
    return run / "report"


def save_report_data(data: ReportData, folder: Path) -> Path:
    """Write `report.json` into the report's folder."""
    file = folder / DATA_FILE
    write_json(file, asdict(data))
    return file


def load_report_data(folder: Path) -> ReportData:
    """Read what `save_report_data` wrote. Raises `ValueError` at the first place that breaks the shape."""
    file = folder / DATA_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{folder} holds no {DATA_FILE}; expected the report folder of a finished run")
    return read_record(ReportData, json.loads(file.read_text()))
