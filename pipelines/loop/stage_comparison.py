"""What the ablation of the stages shows: its rows, and whether each is worse than the full model, as in the slides."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from levo.song.prompt import PromptSet
from levo.song.scores import Metric
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation import EvaluationCell, evaluate
from pipelines.loop.evaluation_steps import ABSENT_METRICS
from pipelines.loop.metrics import METRICS, PHONEME_ERROR_RATE
from pipelines.loop.model_names import BASE
from pipelines.loop.scoring_steps import required_scores
from pipelines.loop.song_sets import SongSet, prompts_of
from pipelines.loop.stage_ablation import BASE_SEPARATED, WITHOUT_AR_DECODER, WITHOUT_DUAL_TRACK, WITHOUT_STAGE_2

_COMPARISONS = (
    (BASE, (WITHOUT_STAGE_2, WITHOUT_AR_DECODER, BASE_SEPARATED)),
    (BASE_SEPARATED, (WITHOUT_DUAL_TRACK,)),
)
ABLATED = (WITHOUT_STAGE_2, WITHOUT_AR_DECODER, WITHOUT_DUAL_TRACK)
TITLES = {
    BASE: "full model",
    WITHOUT_STAGE_2: "w/o stage 2",
    WITHOUT_AR_DECODER: "w/o AR decoder",
    BASE_SEPARATED: "full, separated",
    WITHOUT_DUAL_TRACK: "w/o dual-track",
}
"""Every row by its name, as the slides call it, in the order of the table."""


class Worse(StrEnum):
    """Whether a row is worse than what it is compared with: the interval of the difference leaves zero out, or not."""

    YES = "yes"
    NO = "no"
    NOT_ESTABLISHED = "not established"


@dataclass(frozen=True, slots=True)
class StageRow:
    """One row: its cells by metric, and the row that its differences are from (none for the full model)."""

    name: str
    compared_with: str | None
    cells: Mapping[str, EvaluationCell]

    @property
    def title(self) -> str:
        """What it is called where it is shown."""
        return TITLES[self.name]

    @property
    def verdicts(self) -> dict[str, Worse]:
        """By metric, whether this row is worse; metrics without a difference are left out."""
        cells = {metric: self.cells[metric.name] for metric in METRICS}
        return {metric.name: found for metric, cell in cells.items() if (found := is_worse(cell, metric)) is not None}


def compare_stages(context: LoopContext) -> tuple[StageRow, ...]:
    """All rows over the short report prompts, from scores that are there."""
    short = {row.prompt_id for row in prompts_of(context, SongSet(BASE, PromptSet.REPORT)) if not row.is_long}
    songs = {
        name: [
            row.candidate for row in required_scores(context, SongSet(name, PromptSet.REPORT)) if row.prompt_id in short
        ]
        for name in TITLES
    }
    rows: dict[str, StageRow] = {}
    for base, others in _COMPARISONS:
        table = evaluate(
            {name: songs[name] for name in (base, *others)},
            METRICS,
            base=base,
            absent=ABSENT_METRICS,
            seed=context.config.seed,
            num_resamples=context.config.bootstrap_resamples,
        )
        for name in (base, *others):
            rows.setdefault(name, StageRow(name, None if name == base else base, table.cells[name]))
    return tuple(rows[name] for name in TITLES)


def is_worse(cell: EvaluationCell, metric: Metric) -> Worse | None:
    """Whether a cell's difference is a loss that its interval establishes; None where there is no difference."""
    difference = cell.difference
    if difference is None:
        return None
    if not difference.excludes_zero:
        return Worse.NOT_ESTABLISHED
    return Worse.YES if metric.gain(difference.mean) < 0 else Worse.NO


def verdict_line(row: StageRow) -> str:
    """Whether a row is worse than the full model on phoneme errors, as in the slides, and what the other judges say."""
    verdicts = row.verdicts
    name = PHONEME_ERROR_RATE.name
    if name not in verdicts:
        return f"{row.title}: worse than the full model: missing ({row.cells[name].missing or 'no shared prompt'})"
    others = [
        f"{title} {', '.join(named)}"
        for title, verdict in (("worse", Worse.YES), ("better", Worse.NO), ("not established", Worse.NOT_ESTABLISHED))
        if (named := [metric for metric, found in verdicts.items() if found is verdict and metric != name])
    ]
    return (
        f"{row.title}: worse than the full model: {verdicts[name]} ({name} {_difference_text(row.cells[name])}); "
        f"by the others: {'; '.join(others) or 'nothing'}"
    )


def _difference_text(cell: EvaluationCell) -> str:
    difference = cell.difference
    if difference is None:
        return "without a difference"
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
