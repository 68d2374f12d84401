"""Scoring steps: songs through the corpus's own stages and the judges, and preference pairs from their scores."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from levo.model.store import model_digest
from levo.song.scores import Axis
from pipelines.corpus.records import TokenizedSong
from pipelines.flow.executor import Executor
from pipelines.flow.memory import Memory
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.ray_executor import RayExecutor
from pipelines.flow.run import Progress, run_flow
from pipelines.flow.run_folder import remove_tree
from pipelines.flow.stage import Stage
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult, prompt_source
from pipelines.loop.fitting import read_scorer_noise
from pipelines.loop.model_names import BASE
from pipelines.loop.model_steps import pairs_folder
from pipelines.loop.preferences import pair_candidates, publish_pairs, write_preferences
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import short_digest
from pipelines.loop.scoring import scoring_pipeline
from pipelines.loop.song_sets import (
    PAIR_SONGS,
    SongSet,
    candidates_of,
    prompts_of,
    publish_scores,
    scores_of,
)

_NUM_WORKERS = 2
_BATCH_SONGS = 32


def score_sets(
    context: LoopContext, sets: Sequence[SongSet], progress: StepProgress, executor: Executor | None = None
) -> StepResult:
    """Score every set that is not scored yet in one flow; the report's are heard by held-out judges too."""
    waiting = [one for one in sets if scores_of(context, one) is None]
    sampled = {one: candidates_of(context, one) for one in waiting}
    unsampled = [one.name for one, rows in sampled.items() if rows is None]
    if unsampled:
        raise ValueError(f"the sets {unsampled} have no songs; sample them first")
    candidates = {one: rows for one, rows in sampled.items() if rows is not None}
    for held_out in (False, True):
        chosen = [one for one in waiting if one.needs_held_out_judges is held_out]
        if chosen:
            _score(context, {one.name: one for one in chosen}, candidates, held_out, progress, executor)
    return {"sets": [one.name for one in sets]}


def required_scores(context: LoopContext, song_set: SongSet) -> list[ScoredRow]:
    """A set's scores; raises `ValueError` where it was not scored yet."""
    rows = scores_of(context, song_set)
    if rows is None:
        raise ValueError(f"the set {song_set.name} has no scores; score it first")
    return rows


def make_preferences(context: LoopContext) -> StepResult:
    """Pair the base's candidates on each axis and store the pairs to train on."""
    noises = read_scorer_noise(context.places.models)
    base = model_digest(context.places.lelm(BASE))
    pairings = pair_candidates(required_scores(context, PAIR_SONGS), context.config.alignment, noises, base)
    candidates = {row.candidate_id: row for row in candidates_of(context, PAIR_SONGS) or ()}
    prompts = {row.prompt_id: row for row in prompts_of(context, PAIR_SONGS)}
    digests = {}
    for axis in Axis:
        folder = pairs_folder(context, axis.value)
        remove_tree(folder)
        digests[axis.value] = write_preferences(pairings[axis].pairs, prompts, candidates, folder).digest
    publish_pairs(context.places.pairs, [pair for axis in Axis for pair in pairings[axis].pairs])
    return {"digests": digests, "reports": {axis.value: asdict(pairings[axis].report) for axis in Axis}}


def score_songs(
    context: LoopContext,
    songs: Sequence[CandidateRow],
    held_out: bool,
    progress: StepProgress,
    decode: Stage[CandidateRow, TokenizedSong] | None = None,
    executor: Executor | None = None,
) -> list[ScoredRow]:
    """Run songs through the scoring flow; raises `ValueError` where one of them cannot be scored."""
    pipeline = songs_pipeline(context, held_out, decode)

    def report(state: Progress) -> None:
        progress(state.num_done, state.num_items)

    executor = executor or RayExecutor(_NUM_WORKERS, _BATCH_SONGS)
    result = run_flow(pipeline, songs, executor, Memory(sound_folder(context) / "memory"), report)
    if result.refusals:
        first = result.refusals[0]
        raise ValueError(f"{len(result.refusals)} songs were not scored; the first, {first.item_id}: {first.detail}")
    return list(result.records)


def songs_pipeline(
    context: LoopContext, held_out: bool, decode: Stage[CandidateRow, TokenizedSong] | None = None
) -> Pipeline[CandidateRow, ScoredRow]:
    """The stages that score a run's songs."""
    return scoring_pipeline(
        context.audio_places(sound_folder(context)),
        prompt_source(context),
        context.scoring_models(),
        context.lexicon(),
        context.held_out_judges(_heard_more(context)) if held_out else None,
        decode,
    )


def sound_folder(context: LoopContext) -> Path:
    """Where the sound of candidates is kept."""
    return context.places.candidates("sound")


def _heard_more(context: LoopContext) -> frozenset[str]:
    """The models of whose songs most get a second opinion on their words: the base, and the one aligned to lyrics."""
    folders = [context.places.lelm(name) for name in (BASE, Axis.LYRIC.value)]
    return frozenset(short_digest(model_digest(folder)) for folder in folders if folder.exists())


def _score(
    context: LoopContext,
    sets: dict[str, SongSet],
    candidates: dict[SongSet, list[CandidateRow]],
    held_out: bool,
    progress: StepProgress,
    executor: Executor | None,
) -> None:
    songs = [row for one in sets.values() for row in candidates[one]]
    scored = {row.candidate_id: row for row in score_songs(context, songs, held_out, progress, executor=executor)}
    for one in sets.values():
        publish_scores(context, one, [scored[row.candidate_id] for row in candidates[one]])
