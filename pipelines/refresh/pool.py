"""The pool of preference pairs: every pair that a night added, where its songs lie, and whether it is still used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from levo.alignment.pairs import PairExample, PairStore, write_pairs
from levo.song.candidate import PreferencePair
from levo.song.schema import records_of, table_of
from levo.song.scores import Axis
from pipelines.flow.objects import ObjectReference, ObjectStore
from pipelines.flow.snapshot import Snapshot, SnapshotStore
from pipelines.loop.records import CandidateRow, PromptRow
from pipelines.loop.sampling import conditions_of

POOL = "pairs"


class PairStatus(StrEnum):
    """Whether a pair is trained on."""

    ACTIVE = "active"
    AGED = "aged"


@dataclass(frozen=True, slots=True)
class PooledPair:
    """A pair with its origin, its conditions, and the tokens of its songs as objects of the store.

    `*_log_probability` are nats a token under the model that sampled the songs; `drift` is how far the champion has
    moved from them: the larger of the two songs' changes.
    """

    pair: PreferencePair
    night: str
    lyrics: str
    tags: tuple[str, ...]
    audio_prompt: ObjectReference
    chosen: ObjectReference
    rejected: ObjectReference
    chosen_ended: bool
    rejected_ended: bool
    chosen_log_probability: float
    rejected_log_probability: float
    drift: float = 0.0
    status: PairStatus = PairStatus.ACTIVE
    aged_on: str | None = None

    @property
    def tokens(self) -> tuple[ObjectReference, ...]:
        """The objects that it is made of: its audio prompt and both songs."""
        return (self.audio_prompt, self.chosen, self.rejected)

    @property
    def is_active(self) -> bool:
        """Whether it is trained on."""
        return self.status is PairStatus.ACTIVE


def pooled(
    pairs: Iterable[PreferencePair],
    night: str,
    prompts: Mapping[str, PromptRow],
    candidates: Mapping[str, CandidateRow],
    objects: ObjectStore,
) -> list[PooledPair]:
    """New pairs as the pool holds them, their songs stored; their log-probabilities are yet to be measured."""
    rows = []
    for pair in pairs:
        prompt, chosen, rejected = prompts[pair.prompt_id], candidates[pair.chosen_id], candidates[pair.rejected_id]
        rows.append(
            PooledPair(
                pair=pair,
                night=night,
                lyrics=prompt.lyrics,
                tags=prompt.tags,
                audio_prompt=objects.put_array(prompt.audio_prompt),
                chosen=objects.put_array(chosen.codes),
                rejected=objects.put_array(rejected.codes),
                chosen_ended=chosen.ended,
                rejected_ended=rejected.ended,
                chosen_log_probability=0.0,
                rejected_log_probability=0.0,
            )
        )
    return rows


def example_of(row: PooledPair, prompt: PromptRow, objects: ObjectStore) -> PairExample:
    """A pooled pair as alignment trains on it; `prompt` is the one that its songs answer."""
    conditions = conditions_of(replace(prompt, lyrics=row.lyrics, tags=row.tags))
    return PairExample(
        pair_id=row.pair.pair_id,
        lyrics=conditions.lyrics,
        description=conditions.description,
        audio_prompt=objects.get_array(row.audio_prompt),
        chosen=objects.get_array(row.chosen),
        rejected=objects.get_array(row.rejected),
        chosen_ended=row.chosen_ended,
        rejected_ended=row.rejected_ended,
    )


def write_training_pairs(
    rows: Sequence[PooledPair], prompts: Mapping[str, PromptRow], objects: ObjectStore, folder: Path
) -> PairStore:
    """Store pairs with their songs and conditions, ready to train on."""
    return write_pairs((example_of(row, prompts[row.pair.prompt_id], objects) for row in rows), folder)


def appended(pool: Sequence[PooledPair], new: Iterable[PooledPair]) -> list[PooledPair]:
    """The pool with pairs that it does not hold yet, by night, axis and id: to add the same twice changes nothing.

    Two pairs of equal songs on one axis are one pair, whatever they are called.
    """
    known = {_songs_of(row) for row in pool} | {row.pair.pair_id for row in pool}
    added: list[PooledPair] = []
    for row in new:
        if not known & {_songs_of(row), row.pair.pair_id}:
            known |= {_songs_of(row), row.pair.pair_id}
            added.append(row)
    return sorted([*pool, *added], key=lambda row: (row.night, row.pair.axis.value, row.pair.pair_id))


def active(pool: Iterable[PooledPair], axis: Axis) -> list[PooledPair]:
    """The pairs of an axis that are trained on."""
    return [row for row in pool if row.is_active and row.pair.axis is axis]


def read_pool(snapshot: Snapshot) -> list[PooledPair]:
    """All pairs of a snapshot."""
    return records_of(snapshot.table(POOL), PooledPair)


def publish_pool(
    store: SnapshotStore, rows: Sequence[PooledPair], versions: Mapping[str, str], guard: Callable[[], None]
) -> Snapshot:
    """Publish the pool; `guard` raises where the lease was lost."""
    return store.publish({POOL: table_of(rows, PooledPair)}, versions, guard)


def _songs_of(row: PooledPair) -> tuple[Axis, str, str]:
    return (row.pair.axis, row.chosen.sha256, row.rejected.sha256)
