"""`levo evaluate --ablation stages`: without stage 2, AR decoder or dual tracks, against the full model."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from jobs.loop_command import LoopOptions
from jobs.loop_program import loop_steps
from jobs.loop_run import LoopRun, LoopStep, StepResult, StepTools, open_loop
from jobs.measurements import facts_of, measurement_of
from jobs.progress import RunProgress
from jobs.summary import installed_versions
from jobs.summary_table import LEAST_WIDTH, ablation_tables
from levo.song.files import write_json
from pipelines.flow.resources import ResourceMonitor
from pipelines.loop.metrics import METRICS
from pipelines.loop.stage_ablation import (
    BASE_SEPARATED,
    TRAINING_STEP,
    WITHOUT_AR_DECODER,
    WITHOUT_DUAL_TRACK,
    WITHOUT_STAGE_2,
    sample_stage_ablation,
    score_stage_ablation,
    train_stage_ablation,
)
from pipelines.loop.stage_comparison import ABLATED, StageRow, compare_stages, verdict_line

STAGES_FILE = "ablation-stages.json"
WHAT_IS_COMPARED = {
    WITHOUT_STAGE_2: "both towers from scratch together, as many steps as stages 1 and 2",
    WITHOUT_AR_DECODER: "the decoder's layers in the language model, which predicts all streams; as many steps",
    BASE_SEPARATED: "the base's songs, decoded from both tracks to one sound, stems by the separator",
    WITHOUT_DUAL_TRACK: "the base's songs from the mixed stream alone, stems by the separator; against the row above",
}


def run_stage_ablation(options: LoopOptions) -> tuple[StageRow, ...]:
    """Do the steps that are not done, print the rows and whether each is worse, and write them as JSON in the run."""
    opened = open_loop(options.recipe, options.seed, options.run, options.tracking_uri)
    console = Console(highlight=False, width=max(LEAST_WIDTH, Console().width))
    steps = (*loop_steps(None), *ablation_steps())
    run = LoopRun(opened.context, opened.folder, opened.tracker, RunProgress(len(steps), console))
    file = options.run / STAGES_FILE
    with opened.tracked() as parent, ResourceMonitor() as monitor:
        run.run(steps, monitor)
        rows = compare_stages(opened.context)
        write_json(file, _record(options, rows, run))
        parent.log_artifact(file)
    opened.tracker.close()
    _show(options, rows, console)
    console.print(f"stages   {file}", soft_wrap=True, markup=False)
    return rows


def ablation_steps() -> tuple[LoopStep, ...]:
    """What comes after the loop's own steps."""
    return (
        LoopStep(TRAINING_STEP, "train without the stages", _train, True),
        LoopStep("stages-sample", "sample without the stages", _sample, True),
        LoopStep("stages-score", "score without the stages", _score, True),
    )


def _train(tools: StepTools) -> StepResult:
    return train_stage_ablation(tools.context, tools.progress, tools.log_curve)


def _sample(tools: StepTools) -> StepResult:
    return sample_stage_ablation(tools.context, tools.progress)


def _score(tools: StepTools) -> StepResult:
    return score_stage_ablation(tools.context, tools.progress)


def _record(options: LoopOptions, rows: tuple[StageRow, ...], run: LoopRun) -> dict[str, Any]:
    return {
        "recipe": options.recipe,
        "seed": options.seed,
        "versions": installed_versions(),
        "steps": [asdict(cost) for cost in run.costs() if cost.name in {step.name for step in ablation_steps()}],
        "trained": run.results[TRAINING_STEP],
        "metrics": {metric.name: asdict(facts_of(metric)) for metric in METRICS},
        "rows": {
            row.name: {
                "what": WHAT_IS_COMPARED.get(row.name, "the full model"),
                "compared_with": row.compared_with,
                "measurements": {name: asdict(measurement_of(cell)) for name, cell in row.cells.items()},
                "worse": row.verdicts,
            }
            for row in rows
        },
        "verdicts": [verdict_line(row) for row in rows if row.name in ABLATED],
    }


def _show(options: LoopOptions, rows: tuple[StageRow, ...], console: Console) -> None:
    metrics = {metric.name: facts_of(metric) for metric in METRICS}
    models = {
        row.title.replace(" ", "\n", 1): {name: measurement_of(cell) for name, cell in row.cells.items()}
        for row in rows
    }
    for table in ablation_tables(f"{options.recipe}, seed {options.seed}", metrics, models, "the full model"):
        console.print(table)
    for row in rows:
        if row.name in WHAT_IS_COMPARED:
            console.print(f"{row.title}: {WHAT_IS_COMPARED[row.name]}", markup=False)
    console.print("In the slides each is worse than the full model. Here:", markup=False)
    for row in rows:
        if row.name in ABLATED:
            console.print(verdict_line(row), markup=False, soft_wrap=True)
