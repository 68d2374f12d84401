"""The alignment benchmark: per seed every model and two rivals, each against the base, on the report prompts."""

import datetime
import json
import os
import platform
from dataclasses import asdict

from rich.console import Console

from jobs.bench import BenchOptions
from jobs.bench_table import ROWS, markdown_table, verdicts
from jobs.loop_program import loop_steps
from jobs.loop_run import LoopRun, LoopStep, StepResult, StepTools, open_loop
from jobs.progress import RunProgress
from jobs.recipes.loop import recipe_named
from levo.song.files import write_bytes_atomically, write_json
from levo.song.prompt import PromptSet
from pipelines.flow.resources import ResourceMonitor
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation import EvaluationCell, EvaluationTable, evaluate
from pipelines.loop.evaluation_steps import ABSENT_METRICS
from pipelines.loop.metrics import METRICS
from pipelines.loop.model_names import BASE
from pipelines.loop.rivals import RIVALS, score_corpus, train_rivals
from pipelines.loop.sampling_steps import sample_sets
from pipelines.loop.scoring_steps import required_scores, score_sets
from pipelines.loop.song_sets import SongSet, prompts_of


def bench_alignment(options: BenchOptions, seeds: tuple[int, ...]) -> str:
    """Run every seed and return the table (Markdown) or the record (JSON); both are written to the output folder."""
    out, recipe = options.out, options.recipe
    tables = {seed: _run_seed(options, seed) for seed in seeds}
    said = verdicts(tables, recipe_named(recipe, seeds[0]).merge)
    record = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "recipe": recipe,
        "verdicts": said,
        "seeds": {
            str(seed): {model: {name: asdict(cell) for name, cell in row.items()} for model, row in table.items()}
            for seed, table in tables.items()
        },
    }
    write_json(out / "alignment.json", record)
    text = "\n".join([markdown_table(tables), "", *(f"- {line}" for line in said)])
    write_bytes_atomically(out / "alignment.md", f"{text}\n".encode())
    return json.dumps(record, indent=1) if options.json else text


def _run_seed(options: BenchOptions, seed: int) -> dict[str, dict[str, EvaluationCell]]:
    opened = open_loop(options.recipe, seed, options.out / f"seed-{seed}", options.tracking_uri)
    steps = (*loop_steps(None), *_rival_steps())
    run = LoopRun(opened.context, opened.folder, opened.tracker, RunProgress(len(steps), Console(stderr=True)))
    with opened.tracked(), ResourceMonitor() as monitor:
        run.run(steps, monitor)
    opened.tracker.close()
    return _evaluation(opened.context).cells


def _rival_steps() -> tuple[LoopStep, ...]:
    return (
        LoopStep("gate", "gate the corpus", lambda tools: score_corpus(tools.context, tools.progress), True),
        LoopStep("rivals", "train the rivals", _train_rivals, True),
        LoopStep("rival-sample", "sample the rivals", _sample_rivals, True),
        LoopStep("rival-score", "score the rivals", _score_rivals, True),
    )


def _train_rivals(tools: StepTools) -> StepResult:
    return train_rivals(tools.context, tools.progress, tools.log_curve)


def _sample_rivals(tools: StepTools) -> StepResult:
    return sample_sets(tools.context, _rival_sets(), tools.progress)


def _score_rivals(tools: StepTools) -> StepResult:
    return score_sets(tools.context, _rival_sets(), tools.progress)


def _rival_sets() -> list[SongSet]:
    return [SongSet(name, PromptSet.REPORT) for name in RIVALS]


def _evaluation(context: LoopContext) -> EvaluationTable:
    """The table over the short report prompts, rivals included."""
    short = {row.prompt_id for row in prompts_of(context, SongSet(BASE, PromptSet.REPORT)) if not row.is_long}
    scores = {model: required_scores(context, SongSet(model, PromptSet.REPORT)) for model in ROWS}
    return evaluate(
        {model: [row.candidate for row in rows if row.prompt_id in short] for model, rows in scores.items()},
        METRICS,
        base=BASE,
        absent=ABSENT_METRICS,
        seed=context.config.seed,
        num_resamples=context.config.bootstrap_resamples,
    )
