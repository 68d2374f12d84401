"""`levo parity`: what our LeLM computes against recordings of the released code."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

_WEIGHTS = ("weights.safetensors", "model.safetensors", "model.pt")


@dataclass(frozen=True, slots=True)
class ParityOptions:
    """Import the weights of FOLDER, compute every recorded case, and print the largest difference of each.

    The exit code is 1 where one is past its tolerance: 1e-5 absolute on values, 1e-4 of the largest on gradients, none
    on ids and codes.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """A release in small: config.yaml, weights, tokenizer, cases.safetensors and cases.json."""
    all: bool = False
    """Show every gradient's line, not the worst alone."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, compare, and show a table."""
    options = tyro.cli(ParityOptions, args=list(arguments), prog="levo parity")

    import tempfile

    from levo.model.store import load_model
    from levo.release.errors import ReleaseError
    from levo.release.importing import import_release
    from levo.release.parity import compare_all, missing_groups, read_cases

    cases = read_cases(options.folder)
    weights = next((options.folder / name for name in _WEIGHTS if (options.folder / name).is_file()), None)
    if weights is None:
        raise ReleaseError(f"{options.folder} holds none of {', '.join(_WEIGHTS)}")
    with tempfile.TemporaryDirectory() as temporary:
        imported = import_release(options.folder, Path(temporary) / "model", weights=weights)
        loaded = load_model(Path(temporary) / "model")
    print(f"{imported.num_parameters:,} parameters, {imported.rules} texts, fingerprint {imported.fingerprint[:12]}")
    try:
        comparisons = list(compare_all(cases, loaded))
    except KeyError as error:
        raise ReleaseError(f"{options.folder} lacks the recording {error}") from None
    if not comparisons:
        raise ReleaseError(f"{options.folder} holds no recordings that are known")
    for kind in missing_groups(cases):
        print(f"--  {kind}: not recorded")
    gradients = [one for one in comparisons if one.is_relative]
    worst = max(gradients, key=lambda one: one.difference, default=None)
    for one in comparisons:
        if options.all or not one.holds or one is worst or not one.is_relative:
            unit = " of the largest" if one.is_relative else ""
            mark = "ok" if one.holds else "NO"
            print(f"{mark}  {one.case:<56} {one.difference:9.2e}{unit} (at most {one.tolerance:g})")
    num_failed = sum(not one.holds for one in comparisons)
    print(f"{len(comparisons) - num_failed} of {len(comparisons)} comparisons within tolerance")
    return int(num_failed > 0)
