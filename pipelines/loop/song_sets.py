"""Sets of sampled songs: which model's, for which prompts, and where their tokens and scores are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from levo.song.prompt import PromptSet
from levo.song.schema import records_of, table_of
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import prompt_source
from pipelines.loop.model_steps import BASE
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow

CONTROL, INTERPOLATED = "control", "interpolated"
_CANDIDATES, _SCORES = "candidates", "scores"


@dataclass(frozen=True, slots=True)
class SongSet:
    """Songs of one model for one prompt set; held-out judges hear report songs alone."""

    model: str
    prompt_set: PromptSet

    @property
    def name(self) -> str:
        """What the set is kept under."""
        return f"{self.prompt_set.value}-{self.model}"


PAIR_SONGS = SongSet(BASE, PromptSet.PAIR)


def prompts_of(context: LoopContext, song_set: SongSet) -> list[PromptRow]:
    """The prompts that a set answers."""
    return [row for row in prompt_source(context).rows() if row.prompt_set is song_set.prompt_set]


def songs_per_prompt(context: LoopContext, song_set: SongSet) -> int:
    """How many songs a set has for each prompt."""
    sampling = context.config.sampling
    return {
        PromptSet.PAIR: sampling.candidates_per_prompt,
        PromptSet.SEARCH: sampling.samples_per_search_prompt,
        PromptSet.GATE: sampling.samples_per_report_prompt,
        PromptSet.REPORT: 1 if song_set.model == CONTROL else sampling.samples_per_report_prompt,
    }[song_set.prompt_set]


def publish_candidates(context: LoopContext, song_set: SongSet, rows: Sequence[CandidateRow]) -> None:
    """Store a set's songs."""
    _store(context, song_set, _CANDIDATES).publish({_CANDIDATES: table_of(rows, CandidateRow)}, {})


def publish_scores(context: LoopContext, song_set: SongSet, rows: Sequence[ScoredRow]) -> None:
    """Store a set's scores."""
    _store(context, song_set, _SCORES).publish({_SCORES: table_of(rows, ScoredRow)}, {})


def candidates_of(context: LoopContext, song_set: SongSet) -> list[CandidateRow] | None:
    """A set's songs, or None where they were not sampled yet."""
    snapshot = _store(context, song_set, _CANDIDATES).current()
    return None if snapshot is None else records_of(snapshot.table(_CANDIDATES), CandidateRow)


def scores_of(context: LoopContext, song_set: SongSet) -> list[ScoredRow] | None:
    """A set's scores, or None where it was not scored yet."""
    snapshot = _store(context, song_set, _SCORES).current()
    return None if snapshot is None else records_of(snapshot.table(_SCORES), ScoredRow)


def _store(context: LoopContext, song_set: SongSet, table: str) -> SnapshotStore:
    return SnapshotStore(context.places.candidates(song_set.name) / table)
