"""`levo corpus`: what a corpus holds, lacks, has double and touched, and how it gets to a bucket and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from pipelines.flow.stage import Refusal


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """Show a corpus's newest snapshot: songs, where their labels come from, refusals by reason."""

    corpus: Path
    """Folder of the corpus."""
    verify: bool = False
    """Read every file of the snapshot again and compare its digest with the manifest."""


@dataclass(frozen=True, slots=True)
class FailuresOptions:
    """List the recordings that could not be used, each with what was found."""

    corpus: Path
    """Folder of the corpus."""
    reason: str | None = None
    """Only refusals for this reason."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Forget refusals, so that the next `levo prepare` tries those recordings again; what was done stays done."""

    corpus: Path
    """Folder of the corpus."""
    reason: str | None = None
    """Only refusals for this reason."""
    song: tuple[str, ...] = ()
    """Only these recordings, by their ids."""


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """Show what changed between two snapshots: songs, labels, refusals, and the versions that made them."""

    corpus: Path
    """Folder of the corpus."""
    older: str | None = None
    """Id of the older snapshot, or how it begins; the newer one's parent unless told."""
    newer: str | None = None
    """Id of the newer snapshot, or how it begins; the current one unless told."""


@dataclass(frozen=True, slots=True)
class DuplicatesOptions:
    """List songs that are the same sound, by fingerprints that survive another codec, rate, level or cut."""

    corpus: Path
    """Folder of the corpus."""


@dataclass(frozen=True, slots=True)
class LeaksOptions:
    """List songs that are also among the sounds or lyrics that a model is evaluated on; exits with 1 for any."""

    corpus: Path
    """Folder of the corpus."""
    audio: Path | None = None
    """Folder of sound to look for."""
    lyrics: Path | None = None
    """JSON lines with `idx` and `gt_lyric`, as `levo generate` takes them, or with `song_id` and `lyrics`."""


@dataclass(frozen=True, slots=True)
class TakedownOptions:
    """List everything that a song touched: shards, objects and, in runs, examples, checkpoints, models and pairs."""

    song: Annotated[str, tyro.conf.Positional]
    """The song's id."""
    corpus: Path
    """Folder of the corpus."""
    run: tuple[Path, ...] = ()
    """Folders of runs that may have used it, such as out/demo."""
    json: bool = False
    """Print JSON in place of a table."""


@dataclass(frozen=True, slots=True)
class SongPrepOptions:
    """Print every song's structure and words in SongPrep's text form, a JSON object a line: `song_id`, `text`."""

    corpus: Path
    """Folder of the corpus."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """Bring the newest snapshot, with its tokens and stems, to a bucket; what is there already is not sent again.

    The bucket's CURRENT moves last, and only if nobody else moved it meanwhile.
    """

    corpus: Path
    """Folder of the corpus."""
    to: str
    """s3://BUCKET/PREFIX, or a folder."""


@dataclass(frozen=True, slots=True)
class PullOptions:
    """Fetch the newest snapshot from where `push` brought it, every file checked against its digest."""

    source: Annotated[str, tyro.conf.arg(name="from")]
    """s3://BUCKET/PREFIX, or a folder."""
    corpus: Path
    """Folder to fetch into: empty, or of the same corpus."""
    sound: bool = True
    """Stems too; training needs tokens and labels alone."""


CorpusOptions = (
    Annotated[StatusOptions, tyro.conf.subcommand("status")]
    | Annotated[FailuresOptions, tyro.conf.subcommand("failures")]
    | Annotated[ReplayOptions, tyro.conf.subcommand("replay")]
    | Annotated[DiffOptions, tyro.conf.subcommand("diff")]
    | Annotated[DuplicatesOptions, tyro.conf.subcommand("duplicates")]
    | Annotated[LeaksOptions, tyro.conf.subcommand("leaks")]
    | Annotated[TakedownOptions, tyro.conf.subcommand("takedown")]
    | Annotated[SongPrepOptions, tyro.conf.subcommand("songprep")]
    | Annotated[PushOptions, tyro.conf.subcommand("push")]
    | Annotated[PullOptions, tyro.conf.subcommand("pull")]
)


def main(arguments: Sequence[str]) -> int:
    """Read the options and print tables."""
    options: object = tyro.cli(CorpusOptions, args=list(arguments), prog="levo corpus")
    match options:
        case StatusOptions():
            _show_status(options)
        case FailuresOptions():
            _show_failures(options)
        case ReplayOptions():
            _replay(options)
        case DiffOptions():
            _show_difference(options)
        case DuplicatesOptions() | LeaksOptions() | TakedownOptions():
            from jobs.corpus_search import show_duplicates, show_leaks, show_takedown

            if isinstance(options, DuplicatesOptions):
                show_duplicates(options)
            elif isinstance(options, LeaksOptions):
                return show_leaks(options)
            else:
                show_takedown(options)
        case SongPrepOptions():
            _print_songprep(options)
        case PushOptions() | PullOptions():
            _exchange(options)
    return 0


def _print_songprep(options: SongPrepOptions) -> None:
    import json

    from annotation.structure.protocol import songprep_text
    from pipelines.corpus.heard_lyrics import timed_words
    from pipelines.corpus.records import PreparedSong
    from pipelines.corpus.snapshot import open_corpus

    for song in open_corpus(options.corpus).outcomes():
        if isinstance(song, PreparedSong) and song.sections:
            text = songprep_text(song.sections, timed_words(song))
            print(json.dumps({"song_id": song.song_id, "text": text}, ensure_ascii=False))


def _exchange(options: PushOptions | PullOptions) -> None:
    from jobs.progress import RunProgress
    from pipelines.corpus.exchange import pull_corpus, push_corpus
    from pipelines.flow.stores import RemoteStore

    with RunProgress(num_steps=1).step("files") as report:
        if isinstance(options, PushOptions):
            done = push_corpus(options.corpus, RemoteStore(options.to), report)
        else:
            done = pull_corpus(RemoteStore(options.source), options.corpus, report, with_sound=options.sound)
    print(
        f"snapshot {done.snapshot_id[:12]}: {done.num_files} files, {done.num_bytes / 1e6:.1f} MB that were not there"
    )


def _show_status(options: StatusOptions) -> None:
    from rich.console import Console

    from jobs.corpus_tables import outcome_summary
    from pipelines.corpus.snapshot import open_corpus

    corpus = open_corpus(options.corpus)
    manifest = corpus.snapshot.manifest
    console = Console(highlight=False)
    console.print(outcome_summary(corpus.tally()))
    console.print(f"recordings  {corpus.recordings}")
    console.print(f"snapshot    {manifest.snapshot_id}")
    console.print(f"parent      {manifest.parent or '-'}")
    for name, version in sorted(manifest.versions.items()):
        console.print(f"{name:<11} {version}")
    if options.verify:
        corpus.snapshot.verify()
        console.print(f"verified    {len(manifest.files)} files")


def _show_failures(options: FailuresOptions) -> None:
    from rich.console import Console

    from jobs.corpus_tables import failure_table
    from pipelines.corpus.snapshot import open_corpus

    chosen = _with_reason(open_corpus(options.corpus).refusals, options.reason)
    Console(highlight=False).print(failure_table(chosen))


def _with_reason(refusals: "Sequence[Refusal]", reason: str | None) -> "list[Refusal]":
    known = sorted({row.reason for row in refusals})
    if reason is not None and reason not in known:
        raise ValueError(f"--reason is {reason!r}; this corpus's refusals have the reasons {known}")
    return [row for row in refusals if reason in (None, row.reason)]


def _replay(options: ReplayOptions) -> None:
    from pipelines.corpus.flow import corpus_memory
    from pipelines.corpus.snapshot import open_corpus

    refusals = open_corpus(options.corpus).refusals
    unknown = sorted(set(options.song) - {row.item_id for row in refusals})
    if unknown:
        raise ValueError(f"--song {unknown[0]!r} was not refused; `levo corpus failures` lists what was")
    chosen = {row for row in _with_reason(refusals, options.reason) if row.item_id in (options.song or (row.item_id,))}
    corpus_memory(options.corpus).forget(lambda refusal: refusal in chosen)
    print(f"{len(chosen)} refused recordings will be tried again by the next levo prepare --corpus {options.corpus}")


def _show_difference(options: DiffOptions) -> None:
    from rich.console import Console

    from jobs.corpus_tables import difference_tables
    from pipelines.corpus.difference import corpus_difference
    from pipelines.corpus.snapshot import open_corpus
    from pipelines.flow.snapshot import SnapshotStore

    store = SnapshotStore(options.corpus)
    newer = open_corpus(options.corpus).snapshot if options.newer is None else store.find(options.newer)
    parent = newer.manifest.parent
    if options.older is None and parent is None:
        print(f"snapshot {newer.manifest.snapshot_id[:12]} is the corpus's first; there is nothing to compare it with")
        return
    older = store.find(options.older or str(parent))
    Console(highlight=False).print(difference_tables(older, newer, corpus_difference(older, newer)))
