"""The records that a finished run is reported by: the summary, and everything that report.html shows."""

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.audio_prompt import audio_prompt_table
from jobs.corpus_report import corpus_funnel, heard_recordings
from jobs.loop_run import LoopRun
from jobs.loop_tables import detail_tables, judge_tables, label_tables, merge_tables, preference_tables
from jobs.measurements import facts_of, measurement_of
from jobs.report.audio import store_clip
from jobs.report.data import (
    Curve,
    Distribution,
    Funnel,
    ListeningPrompt,
    Recording,
    ReportData,
    Series,
    Take,
    report_folder,
    save_report_data,
)
from jobs.report.page import write_report
from jobs.summary import Measurement, Summary, installed_versions
from levo.song.digest import digest_bytes
from levo.song.lyrics import parse_lyrics
from levo.song.prompt import PromptSet
from levo.song.tokens import TokenGrid
from levo.training.journal import read_journal
from pipelines.corpus.audio import AudioReader
from pipelines.corpus.snapshot import open_corpus
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation import EvaluationTable
from pipelines.loop.evaluation_steps import AUDIO_PROMPT_ARMS, REPORTED, evaluate_models
from pipelines.loop.metrics import METRICS, SIMILARITY_TO_PROMPT
from pipelines.loop.model_names import BASE
from pipelines.loop.records import PromptRow, ScoredRow
from pipelines.loop.scoring_steps import required_scores
from pipelines.loop.song_sets import SongSet, prompts_of

_NUM_LISTENING_PROMPTS = 4
_SOUND = "sound"


def make_report(context: LoopContext, run: LoopRun, out: Path) -> Summary:
    """Evaluate, write the report's records and its page, and return the summary."""
    evaluation = evaluate_models(context)
    summary = Summary(
        recipe=context.config.recipe,
        seed=context.config.seed,
        versions=installed_versions(),
        steps=run.costs(),
        metrics={metric.name: facts_of(metric) for metric in METRICS},
        models=_measurements(evaluation.short),
        audio_prompt={
            arm: measurement_of(evaluation.audio_prompt.cell(arm, SIMILARITY_TO_PROMPT)) for arm in AUDIO_PROMPT_ARMS
        },
        peak_memory_bytes=run.peak_memory_bytes,
    )
    folder = report_folder(context.places.folder)
    scores = {model: required_scores(context, SongSet(model, PromptSet.REPORT)) for model in REPORTED}
    data = ReportData(
        title=f"LeVo closed loop: {summary.recipe}, seed {summary.seed}",
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        machine=f"{platform.machine()}, {os.cpu_count()} CPU cores, Python {platform.python_version()}",
        summary=summary,
        details=(
            *detail_tables(context, scores, evaluation),
            audio_prompt_table(summary.audio_prompt),
            *merge_tables(run.results),
        ),
        curves=_curves(context),
        distributions=_distributions(scores),
        funnels=_funnels(context),
        labels=label_tables(run.results),
        judges=judge_tables(context, run.results, scores),
        preferences=preference_tables(run.results),
        prompts=_listening(context, scores, folder),
        recordings=_recordings(context, folder),
        notes=_NOTES,
    )
    save_report_data(data, folder)
    write_report(data, folder, out)
    return summary


_NOTES = (
    "Songs, singers and words are rendered: what holds here shows that the loop works, not how a model of real songs "
    "would do.",
    "Differences are paired by prompt; intervals are 95 % BCa bootstrap intervals over the report prompts, which no "
    "decision reads.",
    "Held-out judges (PocketSphinx and two formula judges) never make a pair; they are weaker than the training judges "
    "and count by the sign of their difference.",
)


def _measurements(table: EvaluationTable) -> dict[str, dict[str, Measurement]]:
    return {model: {name: measurement_of(cell) for name, cell in table.cells[model].items()} for model in REPORTED}


def _curves(context: LoopContext) -> tuple[Curve, ...]:
    """Losses and accuracies of every phase, from the journals that training keeps."""
    curves = []
    for journal in sorted(context.places.training.glob("*/*/metrics.jsonl")):
        logged = read_journal(journal)
        names = sorted({name for one in logged for name in one.metrics if "/" in name or name == "loss"})
        for kind in sorted({name.split("/")[0] for name in names}):
            series = tuple(
                Series(
                    name,
                    tuple(float(one.step) for one in logged if name in one.metrics),
                    tuple(one.metrics[name] for one in logged if name in one.metrics),
                )
                for name in names
                if name.split("/")[0] == kind
            )
            curves.append(Curve(f"{journal.parent.name}: {kind}", kind, series))
    return tuple(curves)


def _distributions(scores: Mapping[str, Sequence[ScoredRow]]) -> tuple[Distribution, ...]:
    distributions = []
    for metric in METRICS:
        by_model = {
            model: tuple(
                value
                for row in rows
                if metric.name in row.scores and (value := row.scores[metric.name].value) is not None
            )
            for model, rows in scores.items()
        }
        if all(by_model.values()):
            distributions.append(Distribution(metric.name, by_model))
    return tuple(distributions)


def _funnels(context: LoopContext) -> tuple[Funnel, ...]:
    folders = (
        ("rendered corpus", context.places.corpus),
        ("separation sample", context.places.separated_corpus),
        ("real recordings", context.places.recordings_corpus),
    )
    return tuple(corpus_funnel(title, open_corpus(folder)) for title, folder in folders if folder.exists())


def _listening(
    context: LoopContext, scores: Mapping[str, Sequence[ScoredRow]], folder: Path
) -> tuple[ListeningPrompt, ...]:
    """A few report prompts by the hash of their ids, each sung by every model, one of them long."""
    prompts = sorted(
        prompts_of(context, SongSet(BASE, PromptSet.REPORT)), key=lambda row: digest_bytes(row.prompt_id.encode())
    )
    short = [row for row in prompts if not row.is_long][: _NUM_LISTENING_PROMPTS - 1]
    chosen = short + [row for row in prompts if row.is_long][:1]
    sound = context.places.candidates(_SOUND)
    places = context.audio_places(sound)
    reader = places.reader()
    return tuple(_listening_prompt(context, row, scores, reader, folder) for row in chosen)


def _listening_prompt(
    context: LoopContext,
    prompt: PromptRow,
    scores: Mapping[str, Sequence[ScoredRow]],
    reader: AudioReader,
    folder: Path,
) -> ListeningPrompt:
    takes = []
    for model, rows in scores.items():
        row = next((one for one in rows if one.prompt_id == prompt.prompt_id), None)
        if row is None:
            continue
        clip = store_clip(reader.read(row.audio), folder, f"{prompt.prompt_id}-{model}", model)
        values = {name: score.value for name, score in row.scores.items()}
        takes.append(Take(model, clip, row.heard_phonemes, row.heard_words, values))
    asked = context.codec().decode(TokenGrid(prompt.audio_prompt)).mixture
    return ListeningPrompt(
        prompt_id=prompt.prompt_id,
        lyrics=prompt.lyrics,
        description=", ".join(prompt.tags),
        phonemes=tuple(context.lexicon().phonemes_of(parse_lyrics(prompt.lyrics).words)),
        audio_prompt=store_clip(asked, folder, f"{prompt.prompt_id}-prompt", "audio prompt"),
        takes=tuple(takes),
    )


def _recordings(context: LoopContext, folder: Path) -> tuple[Recording, ...]:
    """Real recordings, decoded again from their tokens."""
    if not context.places.recordings_corpus.exists():
        return ()
    return heard_recordings(open_corpus(context.places.recordings_corpus), context.codec(), folder)
