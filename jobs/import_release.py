"""`levo import`: a released checkpoint's folder becomes a model folder of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Read RELEASE (config.yaml, model.pt or safetensors, a Qwen2 tokenizer) into OUT, tensor by tensor.

    Only tensors are read from model.pt, and no expression of config.yaml is run as code. Every tensor that is missing,
    unexpected or never read by the model is listed; what the model never reads is kept, so that `levo export` writes
    the release back bit by bit.
    """

    release: Annotated[Path, tyro.conf.Positional]
    """The release's folder."""
    out: Annotated[Path, tyro.conf.Positional]
    """The model folder to make; it must not exist."""
    weights: Path | None = None
    """The checkpoint, where the folder holds several."""
    tokenizer: Path | None = None
    """The Qwen2 tokenizer's folder, where it is not at the config's token_path."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, import, and say what was found."""
    options = tyro.cli(ImportOptions, args=list(arguments), prog="levo import")

    from jobs.progress import RunProgress
    from levo.release.importing import import_release

    progress = RunProgress(num_steps=1)
    with progress.step("tensors") as report:
        imported = import_release(
            options.release, options.out, weights=options.weights, tokenizer=options.tokenizer, progress=report
        )
    tensors = imported.tensors
    size = f"{imported.num_parameters:,} parameters in {len(tensors.used)} tensors"
    print(f"{options.out}: {size}, {imported.rules} texts")
    for title, names in (
        ("never read by the model", tensors.dead),
        ("unexpected", tensors.unexpected),
        ("of other parts", tensors.foreign),
    ):
        if names:
            print(f"{len(names)} {title}: {', '.join(names)}")
    print(f"model       {imported.digest}")
    print(f"fingerprint {imported.fingerprint}")
    return 0
