"""What a corpus holds, as tables for the terminal: songs by the source of their labels, refusals by reason."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table

from levo.song.description import MusicalityTier
from pipelines.corpus.difference import CorpusDifference
from pipelines.corpus.planning import Plan, RunCosts
from pipelines.corpus.tally import Tally
from pipelines.flow.snapshot import Snapshot
from pipelines.flow.stage import Refusal


def outcome_summary(tally: Tally) -> Group:
    """How many songs there are and where their stems and labels come from; what was refused, for which reason."""
    tables = [_song_table(tally), _refusal_table(tally)]
    return Group(*(table for table in tables if table.row_count))


def _song_table(tally: Tally) -> Table:
    table = Table(title=f"{tally.num_songs} songs, {tally.duration_s / 60:.1f} minutes", min_width=48)
    table.add_column("songs by")
    table.add_column("")
    table.add_column("songs", justify="right")
    for name in dict.fromkeys(name for name, _ in tally.labels):
        for value, count in sorted((value, count) for (label, value), count in tally.labels.items() if label == name):
            table.add_row(name, value, str(count))
    for tier in (*MusicalityTier, None):
        if tally.tiers[tier]:
            table.add_row("musicality", tier.value if tier else "not judged", str(tally.tiers[tier]))
    return table


def _refusal_table(tally: Tally) -> Table:
    table = Table(title=f"{tally.num_refused} of {tally.num_recordings} recordings refused", min_width=48)
    table.add_column("stage")
    table.add_column("reason")
    table.add_column("recordings", justify="right")
    for (stage, reason), count in tally.refusals.most_common():
        table.add_row(stage, reason, str(count))
    return table


def plan_table(plan: Plan, true: RunCosts | None = None) -> Table:
    """What is expected of a run, and beside it what came true where it has ended."""
    expected = plan.expected
    title = f"{expected.num_songs} songs on {plan.num_workers} workers, by a trial on {plan.num_trial} others"
    table = Table(title=title, min_width=48)
    table.add_column("")
    table.add_column("a worker holds")
    columns = [expected] if true is None else [expected, true]
    for heading, _ in zip(("expected", "came true"), columns, strict=False):
        table.add_column(heading, justify="right")
    table.add_row("time", "", *(_time(costs.wall_s) for costs in columns))
    table.add_row("memory, at most", "", *(_bytes(costs.peak_memory_bytes) for costs in columns))
    table.add_row(
        "stems, tokens, fingerprints", "", *(_bytes(costs.stored_bytes) for costs in columns), end_section=True
    )
    for stages in zip(*(costs.stages for costs in columns), strict=True):
        held = stages[0].resources
        gpus = f", {held.num_gpus:g} GPU" if held.num_gpus else ""
        table.add_row(stages[0].name, f"{held.num_cpus:g} CPU{gpus}", *(_time(stage.seconds) for stage in stages))
    return table


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"


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
