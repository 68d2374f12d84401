"""Sets of sampled songs: which model's, for which prompts, and where their tokens and scores are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from levo.song.prompt import PromptSet
from levo.song.schema import records_of, table_of
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import prompt_source
from pipelines.loop.model_names import BASE, CONTROL
from pipelines.loop.preferences import MIXED
from pipelines.loop.prompt_trial import Asking, trial_prompts
from pipelines.loop.prompts import plan_of_prompt
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow

LONG_REPORTED = (CONTROL, BASE)
"""Whose songs of 30 s are sampled: they take five times as long as short ones."""
HEARD_ONCE = (CONTROL, MIXED)
"""Of whom the report has one song a prompt: the control has no more, and nothing rests on the mixed model."""
CANDIDATES, SCORES = "candidates", "scores"


@dataclass(frozen=True, slots=True)
class SongSet:
    """Songs of one model for one prompt set, asked for with the whole prompt unless they are an arm of the trial."""

    model: str
    prompt_set: PromptSet
    asking: Asking = Asking.WHOLE

    @property
    def name(self) -> str:
        """What the set is kept under."""
        arm = "" if self.asking is Asking.WHOLE else f"-{self.asking}"
        return f"{self.prompt_set.value}-{self.model}{arm}"

    @property
    def needs_held_out_judges(self) -> bool:
        """Whether the judges that make no pair hear it: they hear the report's own songs alone."""
        return self.prompt_set is PromptSet.REPORT and self.asking is Asking.WHOLE


PAIR_SONGS = SongSet(BASE, PromptSet.PAIR)
RIGHT_AUDIO_SONGS = SongSet(BASE, PromptSet.REPORT, Asking.RIGHT_AUDIO)
WRONG_AUDIO_SONGS = SongSet(BASE, PromptSet.REPORT, Asking.WRONG_AUDIO)
BASE_SETS = (PAIR_SONGS, RIGHT_AUDIO_SONGS, WRONG_AUDIO_SONGS)
"""What the base sings before it is aligned: the candidates of the pairs, and the trial of the audio prompt."""
CONTROL_REPORT = SongSet(CONTROL, PromptSet.REPORT)
BASE_SEARCH, BASE_REPORT = SongSet(BASE, PromptSet.SEARCH), SongSet(BASE, PromptSet.REPORT)
COMPARED = (BASE_SEARCH, BASE_REPORT)
"""What later songs are held against; no song of these makes a pair."""


def prompts_of(context: LoopContext, song_set: SongSet) -> list[PromptRow]:
    """The prompts that a set answers, as they are asked."""
    rows = [
        row
        for row in prompt_source(context).rows()
        if row.prompt_set is song_set.prompt_set and (song_set.model in LONG_REPORTED or not row.is_long)
    ]
    if song_set.asking is Asking.WHOLE:
        return rows
    seed, world = context.config.seed, context.config.world
    singers = {row.prompt_id: plan_of_prompt(row.prompt_id, row.is_long, seed, world).style.singer.name for row in rows}
    return [trial.asked(song_set.asking) for trial in trial_prompts(rows, singers)]


def songs_per_prompt(context: LoopContext, song_set: SongSet) -> int:
    """How many songs a set has for each prompt."""
    sampling = context.config.sampling
    if song_set.asking is not Asking.WHOLE:
        return 1
    return {
        PromptSet.PAIR: sampling.candidates_per_prompt,
        PromptSet.SEARCH: sampling.samples_per_search_prompt,
        PromptSet.GATE: sampling.samples_per_report_prompt,
        PromptSet.REPORT: 1 if song_set.model in HEARD_ONCE else sampling.samples_per_report_prompt,
    }[song_set.prompt_set]


def publish_candidates(context: LoopContext, song_set: SongSet, rows: Sequence[CandidateRow]) -> None:
    """Store a set's songs."""
    _store(context, song_set, CANDIDATES).publish({CANDIDATES: table_of(rows, CandidateRow)}, {})


def publish_scores(context: LoopContext, song_set: SongSet, rows: Sequence[ScoredRow]) -> None:
    """Store a set's scores."""
    _store(context, song_set, SCORES).publish({SCORES: table_of(rows, ScoredRow)}, {})


def candidates_of(context: LoopContext, song_set: SongSet) -> list[CandidateRow] | None:
    """A set's songs, or None where they were not sampled yet."""
    snapshot = _store(context, song_set, CANDIDATES).current()
    return None if snapshot is None else records_of(snapshot.table(CANDIDATES), CandidateRow)


def scores_of(context: LoopContext, song_set: SongSet) -> list[ScoredRow] | None:
    """A set's scores, or None where it was not scored yet."""
    snapshot = _store(context, song_set, SCORES).current()
    return None if snapshot is None else records_of(snapshot.table(SCORES), ScoredRow)


def _store(context: LoopContext, song_set: SongSet, table: str) -> SnapshotStore:
    return SnapshotStore(context.places.candidates(song_set.name) / table)
