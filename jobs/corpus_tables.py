"""What a corpus holds, as tables for the terminal: songs by the source of their labels, refusals by reason."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table

from levo.song.description import MusicalityTier
from pipelines.corpus.difference import CorpusDifference
from pipelines.corpus.records import PreparedSong
from pipelines.flow.snapshot import Snapshot
from pipelines.flow.stage import Refusal


def outcome_summary(outcomes: Sequence[PreparedSong | Refusal]) -> Group:
    """Both tables."""
    songs = [outcome for outcome in outcomes if isinstance(outcome, PreparedSong)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    tables = [song_table(songs), refusal_table(refusals, len(outcomes))]
    return Group(*(table for table in tables if table.row_count))


def song_table(songs: Sequence[PreparedSong]) -> Table:
    """How many songs there are, for how long, and where their stems and labels come from."""
    minutes = sum(song.duration_s for song in songs) / 60
    table = Table(title=f"{len(songs)} songs, {minutes:.1f} minutes", min_width=48)
    table.add_column("songs by")
    table.add_column("")
    table.add_column("songs", justify="right")
    _add_counts(table, "stems from", (song.stem_source.value for song in songs))
    _add_counts(table, "lyrics from", (song.lyrics_source.value for song in songs))
    _add_counts(table, "tags from", (song.tags_source.value for song in songs))
    _add_counts(table, "collection", (song.collection or "-" for song in songs))
    _add_counts(table, "licence", (song.licence or "-" for song in songs))
    _add_counts(table, "consent", ("given" if song.consent else "-" for song in songs))
    tiers = Counter(song.tier for song in songs)
    for tier in (*MusicalityTier, None):
        if tiers[tier]:
            table.add_row("musicality", tier.value if tier else "not judged", str(tiers[tier]))
    return table


def refusal_table(refusals: Sequence[Refusal], num_recordings: int) -> Table:
    """How many recordings were refused by each stage, for which reason."""
    table = Table(title=f"{len(refusals)} of {num_recordings} recordings refused", min_width=48)
    table.add_column("stage")
    table.add_column("reason")
    table.add_column("recordings", justify="right")
    for (stage, reason), count in Counter((row.stage, row.reason) for row in refusals).most_common():
        table.add_row(stage, reason, str(count))
    return table


def failure_table(refusals: Sequence[Refusal]) -> Table:
    """Each refused recording with what was found."""
    table = Table(title=f"{len(refusals)} recordings refused", show_lines=True)
    for heading in ("recording", "stage", "reason", "detail"):
        table.add_column(heading, overflow="fold")
    for row in refusals:
        table.add_row(row.item_id, row.stage, row.reason, row.detail)
    return table


def difference_tables(older: Snapshot, newer: Snapshot, difference: CorpusDifference) -> Group:
    """What came, went and changed, a row each, and which versions are others."""
    names = f"{older.manifest.snapshot_id[:12]} -> {newer.manifest.snapshot_id[:12]}"
    songs = Table(title=names, min_width=48)
    for heading in ("", "recording", ""):
        songs.add_column(heading, overflow="fold")
    for name in difference.added:
        songs.add_row("added", name, "")
    for name in difference.removed:
        songs.add_row("removed", name, "")
    for change in difference.changed:
        songs.add_row("changed", change.song_id, ", ".join(change.fields))
    for refusal in difference.newly_refused:
        songs.add_row("refused", refusal.item_id, f"{refusal.stage}: {refusal.reason}")
    for name in difference.no_longer_refused:
        songs.add_row("no longer refused", name, "")
    versions = Table(title="made by", min_width=48)
    for heading in ("", "older", "newer"):
        versions.add_column(heading)
    for name, pair in difference.versions.items():
        versions.add_row(name, *(version[:12] if version else "-" for version in pair))
    tables = [table for table in (songs, versions) if table.row_count]
    return Group(*tables) if tables else Group(f"{names}: nothing changed")


def _add_counts(table: Table, name: str, values: Iterable[str]) -> None:
    for value, count in sorted(Counter(values).items()):
        table.add_row(name, value, str(count))
