"""What changed between two snapshots of a corpus: recordings that came or went, labels, and what made them."""

from collections.abc import Mapping
from dataclasses import dataclass

from levo.song.columns import record_column
from pipelines.corpus.draft import SONGS
from pipelines.corpus.records import PreparedSong
from pipelines.flow.outcomes import records_of_outcomes, refusals_of_outcomes
from pipelines.flow.snapshot import Snapshot
from pipelines.flow.stage import Refusal


@dataclass(frozen=True, slots=True)
class ChangedSong:
    """A song in both snapshots and the fields that differ."""

    song_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CorpusDifference:
    """From an older snapshot to a newer one, in the order of the song ids; `versions` gives old and new digests."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ChangedSong, ...]
    newly_refused: tuple[Refusal, ...]
    no_longer_refused: tuple[str, ...]
    versions: Mapping[str, tuple[str | None, str | None]]

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same, made by the same."""
        rows = (self.added, self.removed, self.changed, self.newly_refused, self.no_longer_refused)
        return not any(rows) and not self.versions


def corpus_difference(older: Snapshot, newer: Snapshot) -> CorpusDifference:
    """Compare two snapshots; a song counts as added where the older one refused or lacked it."""
    songs_before, songs = _songs(older), _songs(newer)
    refusals_before, refusals = _refusals(older), _refusals(newer)
    both = sorted(songs.keys() & songs_before.keys())
    changes = [ChangedSong(name, _changed_fields(songs_before[name], songs[name])) for name in both]
    names = sorted(older.manifest.versions.keys() | newer.manifest.versions.keys())
    versions = {name: (older.manifest.versions.get(name), newer.manifest.versions.get(name)) for name in names}
    return CorpusDifference(
        added=tuple(sorted(songs.keys() - songs_before.keys())),
        removed=tuple(sorted(songs_before.keys() - songs.keys())),
        changed=tuple(change for change in changes if change.fields),
        newly_refused=tuple(refusals[name] for name in sorted(refusals) if refusals[name] != refusals_before.get(name)),
        no_longer_refused=tuple(sorted(refusals_before.keys() - refusals.keys())),
        versions={name: pair for name, pair in versions.items() if pair[0] != pair[1]},
    )


def _songs(snapshot: Snapshot) -> dict[str, PreparedSong]:
    return {song.song_id: song for song in records_of_outcomes(snapshot.table(SONGS), PreparedSong)}


def _refusals(snapshot: Snapshot) -> dict[str, Refusal]:
    return {refusal.item_id: refusal for refusal in refusals_of_outcomes(snapshot.table(SONGS))}


def _changed_fields(before: PreparedSong, after: PreparedSong) -> tuple[str, ...]:
    plain = record_column(PreparedSong).plain
    old, new = plain(before), plain(after)
    return tuple(name for name in new if old[name] != new[name])
