"""`levo export`: a model folder of ours written back in the form of a release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Write MODEL to OUT as config.yaml, a checkpoint and a tokenizer, in the form that it was imported from.

    A model trained from an import names it with `--like`: its tensors get the release's order and dtypes, and those
    that no model reads are taken over. An import that was not trained comes back bit by bit.
    """

    model: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    out: Annotated[Path, tyro.conf.Positional]
    """The release's folder to make; it must not exist."""
    like: Path | None = None
    """The imported model that this one was trained from."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, export, and print the checkpoint's fingerprint."""
    options = tyro.cli(ExportOptions, args=list(arguments), prog="levo export")

    from jobs.progress import RunProgress
    from levo.release.exporting import export_release

    progress = RunProgress(num_steps=1)
    with progress.step("tensors") as report:
        fingerprint = export_release(options.model, options.out, like=options.like, progress=report)
    print(f"fingerprint {fingerprint}")
    return 0
