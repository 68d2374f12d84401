"""The small tables of a run's report: labels, judges, preferences and mixtures, as finished text."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from jobs.report.data import FactTable
from levo.song.lyrics import parse_lyrics
from levo.song.prompt import PromptSet
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation import EvaluationTable
from pipelines.loop.evaluation_steps import Evaluation
from pipelines.loop.fitting import read_scorer_noise
from pipelines.loop.metrics import HELD_OUT_METRIC, PAIR_METRIC
from pipelines.loop.model_names import BASE
from pipelines.loop.records import ScoredRow
from pipelines.loop.section_order import sections_in_order
from pipelines.loop.song_sets import SongSet, prompts_of
from reward.phoneme_error import phoneme_error_rate

StepResult = dict[str, Any]
Asked = Mapping[str, Sequence[Sequence[str]]]
"""By prompt, the phonemes of each sung section."""


def label_tables(results: Mapping[str, StepResult]) -> tuple[FactTable, ...]:
    """How good the flow's own labels and separated stems are, against the rendered truth."""
    step = results["separation"]
    own, separation = step["own_labels"], step["separation"]
    return (
        _facts(
            "Labels where the metadata gave none",
            f"{own['num_songs']} songs, labelled by the flow and compared with the truth that no training step reads.",
            {
                "phoneme error rate, as heard": own["phoneme_error_rate"],
                "phoneme error rate, as lyrics": own["lyrics_phoneme_error_rate"],
                "tags right": own["tag_accuracy"],
            },
        ),
        _facts(
            "Separation and structure",
            f"{separation['num_songs']} songs without stems, {separation['num_long_songs']} of them of 30 s; medians.",
            {
                "vocal SI-SDR, dB": separation["vocal_sdr_db"],
                "vocal SI-SDR improvement, dB": separation["vocal_sdr_improvement_db"],
                "accompaniment SI-SDR, dB": separation["accompaniment_sdr_db"],
                "phoneme error rate after separation": separation["phoneme_error_rate"],
                **{f"boundary F at {name}": value for name, value in separation["boundary_f"].items()},
                **{f"boundary F at {name}, long songs": value for name, value in separation["long_boundary_f"].items()},
                "time under a wrong section": separation["section_label_error"],
            },
        ),
    )


def judge_tables(
    context: LoopContext, results: Mapping[str, StepResult], scores: Mapping[str, Sequence[ScoredRow]]
) -> tuple[FactTable, ...]:
    """Each judge's noise, how far training and held-out judges agree, and the latter with the rendered truth."""
    truth = results["fit"]["held_out"]["truth"]
    noise = read_scorer_noise(context.places.models)
    rows = [row for songs in scores.values() for row in songs]
    return (
        FactTable(
            "Noise of the training judges",
            "Standard deviation of a score under changes that do not matter: level, shift, hiss.",
            ("metric", "standard deviation", "songs"),
            tuple((name, f"{one.standard_deviation:.4f}", str(one.num_songs)) for name, one in noise.items()),
        ),
        FactTable(
            "Training judge and held-out judge",
            "Spearman correlation over all report songs of all models.",
            ("axis", "training", "held out", "correlation"),
            tuple(
                (
                    axis.value,
                    metric.name,
                    HELD_OUT_METRIC[axis].name,
                    _correlation(rows, metric.name, HELD_OUT_METRIC[axis].name),
                )
                for axis, metric in PAIR_METRIC.items()
            ),
        ),
        _facts(
            "Held-out judges and the rendered truth",
            f"{truth['num_songs']} songs of their own, clean and with glitches, decoded from tokens.",
            {
                "tags heard right": truth["tags_right"],
                "the same against another song's tags": truth["tags_right_of_another"],
                "defects of clean songs": truth["defects_clean"],
                "defects of the same songs with glitches": truth["defects_glitched"],
                "a song with glitches has more than a clean one": truth["defects_order"],
                "PocketSphinx's phoneme error rate": truth["pocketsphinx_errors"],
                "the same against another song's lyrics": truth["pocketsphinx_errors_of_another"],
            },
        ),
    )


def detail_tables(
    context: LoopContext, scores: Mapping[str, Sequence[ScoredRow]], evaluation: Evaluation
) -> tuple[FactTable, ...]:
    """The control for songs that ignore their lyrics, and the long songs apart."""
    lexicon = context.lexicon()
    prompts = prompts_of(context, SongSet(BASE, PromptSet.REPORT))
    asked = {
        row.prompt_id: [
            list(lexicon.phonemes_of(section.words)) for section in parse_lyrics(row.lyrics).sections if section.words
        ]
        for row in prompts
    }
    long_ids = {row.prompt_id for row in prompts if row.is_long}
    return (shuffled_table(asked, long_ids, scores), _long_table(asked, long_ids, scores, evaluation.long))


def preference_tables(results: Mapping[str, StepResult]) -> tuple[FactTable, ...]:
    """Pairs made, ties and missing scores, by axis."""
    reports = results["pair"]["reports"]
    columns = ("axis", "prompts", "candidates", "pairs", "ties", "missing", "threshold")
    rows = tuple(
        (
            axis,
            str(one["num_prompts"]),
            str(one["num_candidates"]),
            str(one["num_pairs"]),
            str(one["num_ties"]),
            str(sum(one["missing"].values())),
            f"{one['threshold']:.3f}",
        )
        for axis, one in reports.items()
    )
    return (FactTable("Pairs", "A gap has to exceed the margin and the judge's own noise.", columns, rows),)


def merge_tables(results: Mapping[str, StepResult]) -> tuple[FactTable, ...]:
    """Every mixture tried on the search prompts."""
    step = results["choose"]
    names = tuple(PAIR_METRIC[axis].name for axis in PAIR_METRIC)
    rows = [("base", *(f"{step['base'][name]:.3f}" for name in names))]
    for trial in step["trials"]:
        mixture = " / ".join(f"{value:.2f}" for value in trial["coefficients"])
        rows.append((mixture, *(f"{trial['metrics'][name]:.3f}" for name in names)))
    chosen = ", ".join(f"{name} {value:.2f}" for name, value in step["coefficients"].items())
    within = "within the limits" if step["within_limits"] else "no mixture kept the limits; the lowest phoneme error"
    return (FactTable("Interpolation", f"Chosen: {chosen} ({within}).", ("mixture", *names), tuple(rows)),)


def _facts(title: str, caption: str, values: Mapping[str, float]) -> FactTable:
    return FactTable(title, caption, ("what", "value"), tuple((name, f"{value:.3f}") for name, value in values.items()))


def _correlation(rows: Sequence[ScoredRow], one: str, other: str) -> str:
    pairs = []
    for row in rows:
        left, right = row.scores.get(one), row.scores.get(other)
        if left is not None and right is not None and left.value is not None and right.value is not None:
            pairs.append((left.value, right.value))
    if len(pairs) < 3:
        return "too few songs"
    from scipy.stats import spearmanr  # a second to import, for one line of a report

    return f"{float(spearmanr([left for left, _ in pairs], [right for _, right in pairs]).statistic):.3f}"


def shuffled_table(asked: Asked, long_ids: set[str], scores: Mapping[str, Sequence[ScoredRow]]) -> FactTable:
    """Each short song against the lyrics of the next prompt."""
    rows = []
    for model, all_songs in scores.items():
        songs = [song for song in all_songs if song.prompt_id not in long_ids]
        prompts = list(dict.fromkeys(song.prompt_id for song in songs))
        following = dict(zip(prompts, [*prompts[1:], prompts[0]], strict=True))
        rates = [
            phoneme_error_rate(
                [name for section in asked[following[song.prompt_id]] for name in section], song.heard_phonemes
            )
            for song in songs
        ]
        rows.append((model, f"{fmean(rates):.3f}"))
    return FactTable(
        "Phoneme error against another prompt's lyrics",
        "A model that sings what it is asked for scores badly here.",
        ("model", "phoneme error rate"),
        tuple(rows),
    )


def _long_table(
    asked: Asked, long_ids: set[str], scores: Mapping[str, Sequence[ScoredRow]], table: EvaluationTable
) -> FactTable:
    """Songs of 30 s: the judges' means, and how many sing their sections in order."""
    names = [PAIR_METRIC[axis].name for axis in PAIR_METRIC]
    rows = []
    for model in table.cells:
        long_songs = [song for song in scores[model] if song.prompt_id in long_ids]
        in_order = [sections_in_order(asked[song.prompt_id], song.heard_phonemes) for song in long_songs]
        means = [table.cells[model][name].value for name in names]
        values = ["missing" if mean is None else f"{mean.mean:.3f}" for mean in means]
        rows.append((model, *values, f"{fmean(in_order):.2f}"))
    return FactTable(
        "Songs of 30 s",
        f"{len(long_ids)} prompts of four or more sections, apart from the table above.",
        ("model", *names, "sections in order"),
        tuple(rows),
    )
