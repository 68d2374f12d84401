"""The alignment benchmark's table, and what it says of each goal, seed by seed."""

from collections.abc import Mapping, Sequence

from pipelines.loop.config import MergeConfig
from pipelines.loop.evaluation import EvaluationCell
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
from pipelines.loop.model_names import INTERPOLATED
from pipelines.loop.rivals import RIVALS

ROWS = (*REPORTED, *RIVALS)


SeedTable = Mapping[str, Mapping[str, EvaluationCell]]
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


def _keeps(row: Mapping[str, EvaluationCell], limits: MergeConfig) -> bool:
    least = {
        SIMILARITY_TO_TEXT.name: -limits.max_similarity_loss,
        SIMILARITY_TO_PROMPT.name: -limits.max_similarity_loss,
        MUSICALITY.name: -limits.max_musicality_loss,
    }
    return all(row[name].compared.low >= lowest for name, lowest in least.items())


def _cell_text(cell: EvaluationCell) -> str:
    if cell.value is None:
        return f"missing: {cell.missing}"
    difference = cell.difference
    if difference is None:
        return f"{cell.value.mean:.3f}"
    text = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"**{text}**" if difference.excludes_zero else text
