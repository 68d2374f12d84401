"""The alignment benchmark's table, and what it says of each goal, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from levo.song.scores import Metric
from pipelines.loop.config import MergeConfig
from pipelines.loop.evaluation_steps import ABSENT_METRICS, REPORTED
from pipelines.loop.metrics import (
    HELD_OUT_METRIC,
    METRICS,
    MUSICALITY,
    PAIR_METRIC,
    PHONEME_ERROR_RATE,
    SIMILARITY_TO_PROMPT,
    SIMILARITY_TO_TEXT,
)
from pipelines.loop.rivals import RIVALS
from pipelines.loop.song_sets import INTERPOLATED

ROWS = (*REPORTED, *RIVALS)


@dataclass(frozen=True, slots=True)
class BenchCell:
    """One model on one metric in one seed: its mean, and its difference from the base with the interval."""

    value: float
    difference: float | None
    low: float | None
    high: float | None

    @property
    def compared(self) -> tuple[float, float, float]:
        """The difference and its interval; raises `ValueError` in the base's own row."""
        if self.difference is None or self.low is None or self.high is None:
            raise ValueError("the base has no difference from itself")
        return self.difference, self.low, self.high

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        _, low, high = self.compared
        return low > 0 or high < 0

    def gain(self, metric: Metric) -> float:
        """The difference in the direction that is better."""
        return metric.gain(self.compared[0])

    def surely_better(self, metric: Metric) -> bool:
        """Whether the model is better than the base, with an interval without zero."""
        return self.excludes_zero and self.gain(metric) > 0


SeedTable = Mapping[str, Mapping[str, BenchCell]]
"""Cells by model, then by metric."""


def markdown_table(tables: Mapping[int, SeedTable]) -> str:
    """Rows are models, columns are metrics; a cell holds each seed's difference from the base (the base its values)."""
    names = [metric.name for metric in METRICS if metric.name not in ABSENT_METRICS]
    lines = [f"| model | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for model in ROWS:
        cells = ["<br>".join(_cell_text(table[model][name]) for table in tables.values()) for name in names]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(tables: Mapping[int, SeedTable], limits: MergeConfig) -> tuple[str, ...]:
    """One line a goal: in how many seeds it is reached; and one a rival: in how many it beats preference training."""
    seeds = list(tables.values())
    lines = []
    for axis, metric in PAIR_METRIC.items():
        held_out = HELD_OUT_METRIC[axis]
        rows = [table[axis.value] for table in seeds]
        won = _share([row[metric.name].surely_better(metric) for row in rows])
        agreed = _share([row[held_out.name].gain(held_out) > 0 for row in rows])
        lines.append(
            f"{axis.value}: better on {metric.name} with an interval without zero in {won}; "
            f"{held_out.name}, held out, agrees in sign in {agreed}"
        )
    rows = [table[INTERPOLATED] for table in seeds]
    won = _share([row[PHONEME_ERROR_RATE.name].surely_better(PHONEME_ERROR_RATE) for row in rows])
    kept = _share([_keeps(row, limits) for row in rows])
    lines.append(
        f"{INTERPOLATED}: better on {PHONEME_ERROR_RATE.name} with an interval without zero in {won}; loses at most "
        f"{limits.max_similarity_loss} of both similarities and {limits.max_musicality_loss} of musicality, by the "
        f"intervals' ends, in {kept}"
    )
    return (*lines, *(f"{rival}: {_beaten(seeds, rival)}" for rival in RIVALS))


def _beaten(seeds: Sequence[SeedTable], rival: str) -> str:
    parts = []
    for axis, metric in PAIR_METRIC.items():
        pairs = [(table[rival][metric.name], table[axis.value][metric.name]) for table in seeds]
        won = _share([ours.gain(metric) > theirs.gain(metric) for ours, theirs in pairs])
        parts.append(f"better than the {axis.value} model on {metric.name} in {won}")
    return "; ".join(parts)


def _share(holds: Sequence[bool]) -> str:
    return f"{sum(holds)} of {len(holds)}"


def _keeps(row: Mapping[str, BenchCell], limits: MergeConfig) -> bool:
    least = {
        SIMILARITY_TO_TEXT.name: -limits.max_similarity_loss,
        SIMILARITY_TO_PROMPT.name: -limits.max_similarity_loss,
        MUSICALITY.name: -limits.max_musicality_loss,
    }
    return all(row[name].compared[1] >= lowest for name, lowest in least.items())


def _cell_text(cell: BenchCell) -> str:
    if cell.difference is None:
        return f"{cell.value:.3f}"
    difference, low, high = cell.compared
    text = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{text}**" if cell.excludes_zero else text
