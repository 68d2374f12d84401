"""Evaluation steps: the search for interpolation coefficients on the search prompts, and the ablation table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from levo.alignment.interpolation import WeightedModel, merge_models
from levo.alignment.search import Coefficients, Goal, SearchPlan, Trial, choose, search
from levo.model.store import model_digest
from levo.song.prompt import PromptSet
from levo.song.scores import Axis
from pipelines.flow.run_folder import remove_tree
from pipelines.loop.config import MergeConfig
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult
from pipelines.loop.evaluation import EvaluationCell, EvaluationTable, evaluate, mean_scores
from pipelines.loop.merge_goal import best_trial, goal_over, search_record
from pipelines.loop.metrics import (
    FRECHET_AUDIO_DISTANCE,
    METRICS,
    SIMILARITY_TO_PROMPT,
)
from pipelines.loop.model_names import BASE, CONTROL, INTERPOLATED
from pipelines.loop.model_steps import publish_model
from pipelines.loop.preferences import MIXED
from pipelines.loop.records import ScoredRow
from pipelines.loop.sampling_steps import sample_sets
from pipelines.loop.scoring_steps import required_scores, score_sets
from pipelines.loop.song_sets import LONG_REPORTED, RIGHT_AUDIO_SONGS, WRONG_AUDIO_SONGS, SongSet, prompts_of, scores_of

ALIGNED = tuple(axis.value for axis in Axis)
REPORTED = (CONTROL, BASE, *ALIGNED, MIXED, INTERPOLATED)
RIGHT_AUDIO, WRONG_AUDIO = "right", "wrong"
AUDIO_PROMPT_ARMS = (RIGHT_AUDIO, WRONG_AUDIO)
ABSENT_METRICS = {
    FRECHET_AUDIO_DISTANCE.name: "no audio embedding model with a reference set is installed",
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The ablation on short report songs, the same on the long ones, printed apart, and the trial of the audio prompt.

    The trial's rows are its two arms: how like the right prompt's audio the songs of either are, and the right arm's
    difference from the wrong one.
    """

    short: EvaluationTable
    long: EvaluationTable
    audio_prompt: EvaluationTable


def merge_name(coefficients: Coefficients) -> str:
    """The name that a trial's model is kept under."""
    return "merge-" + "-".join(f"{value:.3f}" for value in coefficients)


def merge_trials(context: LoopContext) -> StepResult:
    """Make every mixture of the aligned models that the recipe tries."""
    digests = {
        merge_name(coefficients): _merge(context, coefficients) for coefficients in context.config.merge.coefficients
    }
    return {"models": digests}


def search_sets(config: MergeConfig) -> list[SongSet]:
    """What the search samples: the base and every mixture, on the search prompts."""
    names = [BASE, *(merge_name(coefficients) for coefficients in config.coefficients)]
    return [SongSet(name, PromptSet.SEARCH) for name in names]


def choose_mixture(context: LoopContext, progress: StepProgress) -> StepResult:
    """Choose the mixture of lowest phoneme error within the limits, and give it its name.

    Where every mixture breaks a limit the one of lowest phoneme error is named, and the result says so.
    """
    goal = search_goal(context)
    opening = context.config.merge.coefficients
    trials = search_mixtures(context, goal, SearchPlan(opening, len(opening)), progress)
    best = best_trial(trials, goal)
    interpolated = context.places.lelm(INTERPOLATED)
    publish_model(context.places.lelm(merge_name(best.coefficients)), interpolated)
    return {
        "coefficients": dict(zip(ALIGNED, best.coefficients, strict=True)),
        "digest": model_digest(interpolated),
        "within_limits": choose(trials, goal).best is not None,
        "base": base_means(context),
        **search_record(trials, goal),
    }


def search_mixtures(context: LoopContext, goal: Goal, plan: SearchPlan, progress: StepProgress) -> tuple[Trial, ...]:
    """Try mixtures as the plan asks, by their means on the search prompts; what is sampled and scored is read again."""

    def evaluated(coefficients: Coefficients) -> Mapping[str, float | None]:
        songs = SongSet(merge_name(coefficients), PromptSet.SEARCH)
        if scores_of(context, songs) is None:
            _merge(context, coefficients)
            sample_sets(context, [songs], progress, more_follow=True)
            score_sets(context, [songs], progress)
        return mean_scores(required_scores(context, songs))

    return search(evaluated, goal, plan)


def base_means(context: LoopContext) -> dict[str, float]:
    """What the search holds mixtures against: the base's means on the search prompts."""
    return mean_scores(required_scores(context, SongSet(BASE, PromptSet.SEARCH)))


def search_goal(context: LoopContext) -> Goal:
    """The recipe's goal over what the base reaches on the search prompts."""
    return goal_over(base_means(context), context.config.merge)


def report_sets() -> list[SongSet]:
    """What is sampled for the report; the control is rendered instead."""
    return [SongSet(model, PromptSet.REPORT) for model in REPORTED if model != CONTROL]


def evaluate_models(context: LoopContext) -> Evaluation:
    """The ablation tables over the report prompts, from scores that are there."""
    rows = {model: required_scores(context, SongSet(model, PromptSet.REPORT)) for model in REPORTED}
    long_ids = {row.prompt_id for row in prompts_of(context, SongSet(BASE, PromptSet.REPORT)) if row.is_long}
    return Evaluation(
        short=_table(context, {model: _only(songs, long_ids, False) for model, songs in rows.items()}),
        long=_table(context, {model: _only(rows[model], long_ids, True) for model in LONG_REPORTED}),
        audio_prompt=_audio_prompt_table(context),
    )


def _merge(context: LoopContext, coefficients: Coefficients) -> str:
    out = context.places.lelm(merge_name(coefficients))
    remove_tree(out)
    parts = [
        WeightedModel(context.places.lelm(model), coefficient)
        for model, coefficient in zip(ALIGNED, coefficients, strict=True)
    ]
    return merge_models(parts, out, base=context.places.lelm(BASE))


def _only(rows: Sequence[ScoredRow], long_ids: set[str], is_long: bool) -> list[ScoredRow]:
    return [row for row in rows if (row.prompt_id in long_ids) is is_long]


def _audio_prompt_table(context: LoopContext) -> EvaluationTable:
    right, wrong = required_scores(context, RIGHT_AUDIO_SONGS), required_scores(context, WRONG_AUDIO_SONGS)
    if not wrong:
        nothing = EvaluationCell(None, None, "no two report prompts of different singers")
        return EvaluationTable(WRONG_AUDIO, {arm: {SIMILARITY_TO_PROMPT.name: nothing} for arm in AUDIO_PROMPT_ARMS})
    return evaluate(
        {RIGHT_AUDIO: [row.candidate for row in right], WRONG_AUDIO: [row.candidate for row in wrong]},
        (SIMILARITY_TO_PROMPT,),
        base=WRONG_AUDIO,
        absent={},
        seed=context.config.seed,
        num_resamples=context.config.bootstrap_resamples,
    )


def _table(context: LoopContext, rows: Mapping[str, Sequence[ScoredRow]]) -> EvaluationTable:
    return evaluate(
        {model: [row.candidate for row in songs] for model, songs in rows.items()},
        METRICS,
        base=BASE,
        absent=ABSENT_METRICS,
        seed=context.config.seed,
        num_resamples=context.config.bootstrap_resamples,
    )
