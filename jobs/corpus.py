"""`levo corpus`: what a corpus holds (`status`), and what could not be used and why (`failures`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


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


CorpusOptions = (
    Annotated[StatusOptions, tyro.conf.subcommand("status")]
    | Annotated[FailuresOptions, tyro.conf.subcommand("failures")]
)


def main(arguments: Sequence[str]) -> int:
    """Read the options and print tables."""
    options: StatusOptions | FailuresOptions = tyro.cli(CorpusOptions, args=list(arguments), prog="levo corpus")
    if isinstance(options, StatusOptions):
        _show_status(options)
    else:
        _show_failures(options)
    return 0


def _show_status(options: StatusOptions) -> None:
    from rich.console import Console

    from jobs.corpus_tables import outcome_summary
    from pipelines.corpus.snapshot import open_corpus

    corpus = open_corpus(options.corpus)
    manifest = corpus.snapshot.manifest
    console = Console(highlight=False)
    console.print(outcome_summary([*corpus.songs, *corpus.refusals]))
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

    refusals = open_corpus(options.corpus).refusals
    known = sorted({row.reason for row in refusals})
    if options.reason is not None and options.reason not in known:
        raise ValueError(f"--reason is {options.reason!r}; this corpus's refusals have the reasons {known}")
    chosen = [row for row in refusals if options.reason in (None, row.reason)]
    Console(highlight=False).print(failure_table(chosen))
