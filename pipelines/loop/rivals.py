"""Honest rivals of preference training at equal compute: a base on a gated corpus, and fine-tuning on the best songs.

Compute is counted in songs that pass forward and backward through the trained parameters. A DPO step of n pairs trains
on 2 n songs; its reference pass is computed once and stored, and is not charged to it.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from levo.alignment.pairs import PairStore
from levo.model.store import model_digest
from levo.song.files import write_json
from levo.song.scores import Axis
from levo.training.examples import TrainingExample, write_examples
from levo.training.phases import PhaseConfig, Stage, steps_for_epochs
from pipelines.corpus.records import PreparedSong
from pipelines.corpus.snapshot import Corpus, open_corpus
from pipelines.flow.run_folder import remove_tree
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult
from pipelines.loop.metrics import MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT
from pipelines.loop.model_names import BASE, INITIAL
from pipelines.loop.model_steps import (
    CurveCallback,
    base_phases,
    pairs_folder,
    publish_model,
    tokenized_songs,
    train_phases,
    write_phase_examples,
)
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.scoring_steps import score_songs

GATED, FINE_TUNED = "gated", "fine_tuned"
_EVERYTHING = ("studio", "wild")
RIVALS = (GATED, FINE_TUNED)


@dataclass(frozen=True, slots=True)
class QualityGate:
    """What a corpus song's own labels must reach, by the judges that score candidates."""

    most_phoneme_errors: float = 0.3
    least_similarity: float = 0.8
    least_musicality: float = -1.5

    def admits(self, row: ScoredRow) -> bool:
        """Whether the song fits its labels; a missing score does not."""
        values = {name: score.value for name, score in row.scores.items()}
        errors, similarity, musicality = (
            values.get(metric.name) for metric in (PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT, MUSICALITY)
        )
        if errors is None or similarity is None or musicality is None:
            return False
        return (
            errors <= self.most_phoneme_errors
            and similarity >= self.least_similarity
            and musicality >= self.least_musicality
        )


def score_corpus(context: LoopContext, progress: StepProgress) -> StepResult:
    """Score every corpus song against its own labels, as candidates are scored; count what the gate admits."""
    corpus = open_corpus(context.places.corpus)
    rows = score_songs(context, [_as_candidate(song, corpus) for song in corpus.songs], False, progress)
    admitted = sorted(row.candidate_id for row in rows if QualityGate().admits(row))
    write_json(_admitted_file(context), admitted)
    return {"num_songs": len(rows), "num_admitted": len(admitted)}


def train_rivals(context: LoopContext, progress: StepProgress, on_log: CurveCallback) -> StepResult:
    """Train both rivals in one fit: the gated base from nothing, the fine-tuned one from the base."""
    gated = _gated_phases(context, frozenset(json.loads(_admitted_file(context).read_text())))
    fine_tuned = _fine_tuning_phase(context)
    results = train_phases(context, [*gated, fine_tuned], "rivals", progress, on_log)
    publish_model(results[len(gated) - 1].model_folder, context.places.lelm(GATED))
    publish_model(results[-1].model_folder, context.places.lelm(FINE_TUNED))
    return {name: model_digest(context.places.lelm(name)) for name in RIVALS}


def alignment_songs(context: LoopContext) -> int:
    """Songs that the alignment runs of the three axes train on, forward and backward, on average."""
    stores = [PairStore(pairs_folder(context, axis.value)) for axis in Axis]
    alignment = context.config.alignment
    steps = [steps_for_epochs(len(store), alignment.batch_size, alignment.epochs) for store in stores]
    return round(2 * alignment.batch_size * sum(steps) / len(steps))


def _gated_phases(context: LoopContext, admitted: frozenset[str]) -> list[PhaseConfig]:
    """The base's phases on the admitted songs of the same collections, both towers longer by an alignment run.

    An alignment run trains both towers at once; here each is trained in its own stage on as many songs.
    """
    songs = [song for song in tokenized_songs(open_corpus(context.places.corpus)) if song.song_id in admitted]
    phases = []
    for plan, phase in zip(context.config.training.phases, base_phases(context), strict=True):
        folder = context.places.training / "examples" / GATED / plan.examples_name
        if not len(write_phase_examples(context, songs, plan, folder)):
            raise ValueError(f"the gate admits none of the songs of {plan.collections}: the rival has nothing to learn")
        extra = (
            steps_for_epochs(alignment_songs(context), phase.batch_rows, 1) if plan.collections == _EVERYTHING else 0
        )
        phases.append(
            replace(phase, name=f"{GATED}-{phase.name}", data=folder, num_steps=phase.num_steps + extra),
        )
    return [replace(phases[0], init_model=context.places.lelm(INITIAL)), *phases[1:]]


def _admitted_file(context: LoopContext) -> Path:
    return context.places.training / "admitted.json"


def _fine_tuning_phase(context: LoopContext) -> PhaseConfig:
    """Supervised fine-tuning on the songs that the lyric pairs prefer, for as many songs as an alignment run."""
    alignment = context.config.alignment
    store = PairStore(pairs_folder(context, Axis.LYRIC.value))
    best: dict[str, TrainingExample] = {}
    for index in range(len(store)):
        song = store[index].chosen_song
        best[song.digest] = song
    folder = context.places.training / "examples" / FINE_TUNED
    remove_tree(folder)
    write_examples(best.values(), folder)
    num_steps = steps_for_epochs(alignment_songs(context), 2 * alignment.batch_size, 1)
    return PhaseConfig(
        name=FINE_TUNED,
        stage=Stage.SFT,
        data=folder,
        num_steps=num_steps,
        batch_rows=2 * alignment.batch_size,
        learning_rate=alignment.learning_rate[Axis.LYRIC],
        seed=context.config.seed,
        warmup_steps=max(1, num_steps // 10),
        init_model=context.places.lelm(BASE),
        dropout=context.config.training.dropout,
        precision=context.config.training.precision,
        checkpoint_every=500,
    )


def _as_candidate(song: PreparedSong, corpus: Corpus) -> CandidateRow:
    return CandidateRow(
        candidate_id=song.song_id,
        prompt_id=song.song_id,
        seed=0,
        model_digest="",
        ended=True,
        lyrics=song.lyrics,
        tags=song.tags,
        codes=corpus.tokens(song).codes,
    )
