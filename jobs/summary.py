"""`summary.json`: what a run measured and what it cost, in the one shape that readers may rely on."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from levo.song.files import write_json
from pipelines.flow.typed_json import read_record

MODEL_ROWS = ("control", "base", "lyric", "prompt", "musicality", "mixed", "interpolated")
AUDIO_PROMPT_ROWS = ("right", "wrong")
_NAMED_VERSIONS = ("levo", "torch", "ray", "deepspeed", "mlflow", "transformers", "numpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step of the run: how long it took on the clock and on the processors, and whether it was done before."""

    name: str
    wall_s: float
    cpu_s: float
    skipped: bool


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """How to read a metric: which way is better, in what unit, and whether its judge may make pairs."""

    better: Literal["lower", "higher"]
    unit: str
    judge: Literal["training", "held_out"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A model's value less the base's, with the interval of the paired difference."""

    value: float
    interval: tuple[float, float]

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of one model: a value with its interval (none for a figure of the whole set), or why there is none."""

    value: float | None
    interval: tuple[float, float] | None = None
    difference: Difference | None = None
    missing: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.missing is None):
            raise ValueError(f"value {self.value} with missing {self.missing!r}; expected exactly one of them")
        if self.value is None and (self.interval or self.difference):
            raise ValueError(f"a missing value ({self.missing}) has an interval or a difference; expected neither")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval {self.interval}; expected its lower end first")


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole run. Every model has a measurement of every metric, if only the reason why it is missing.

    `audio_prompt` is the trial of the audio prompt on the base: similarity to the right prompt's audio of songs asked
    for with the right audio and with a wrong one; the right arm's difference is from the wrong one.
    """

    recipe: str
    seed: int
    versions: dict[str, str]
    steps: tuple[StepCost, ...]
    metrics: dict[str, MetricFacts]
    models: dict[str, dict[str, Measurement]]
    audio_prompt: dict[str, Measurement]
    peak_memory_bytes: int

    def __post_init__(self) -> None:
        if sorted(self.models) != sorted(MODEL_ROWS):
            raise ValueError(f"models are {sorted(self.models)}; expected {sorted(MODEL_ROWS)}")
        for model, measurements in self.models.items():
            if measurements.keys() != self.metrics.keys():
                raise ValueError(f"{model} has {sorted(measurements)}; expected the metrics {sorted(self.metrics)}")
        if sorted(self.audio_prompt) != sorted(AUDIO_PROMPT_ROWS):
            raise ValueError(f"audio_prompt has {sorted(self.audio_prompt)}; expected {sorted(AUDIO_PROMPT_ROWS)}")
        if self.peak_memory_bytes < 0 or any(min(step.wall_s, step.cpu_s) < 0 for step in self.steps):
            raise ValueError("a negative time or memory; expected zero or more")

    @property
    def wall_s(self) -> float:
        """Seconds on the clock over all steps; skipped ones count as when they were done."""
        return sum(step.wall_s for step in self.steps)


def missing_measurement(reason: str) -> Measurement:
    """A measurement that could not be made."""
    return Measurement(None, missing=reason)


def write_summary(summary: Summary, file: Path) -> None:
    """Write the JSON, whole or not at all."""
    write_json(file, asdict(summary))


def read_summary(file: Path) -> Summary:
    """Read and check `summary.json`. Raises `ValueError` with the first place that breaks the shape."""
    return read_record(Summary, json.loads(file.read_text()))


def installed_versions() -> dict[str, str]:
    """The versions a result depends on; what is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in _NAMED_VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
