"""`levo merge`: any models at given coefficients, or a run's aligned models at those that the search prompts favour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class MergeOptions(LoopOptions):
    """Interpolate models: `--models A B --coefficients 0.4 0.6 --out DIR`, or the mixture of a run.

    Without `--models` the recipe's mixtures of the run's aligned models are tried on the search prompts and the best
    within the limits is kept; steps before it are done first where they are not, and what is done is skipped.
    """

    models: tuple[Path, ...] = ()
    """Model folders to interpolate."""
    coefficients: tuple[float, ...] = ()
    """One number a model; they sum to 1 unless there is a base."""
    base: Path | None = None
    """A model that the coefficients weigh differences from: base + sum of c (model - base)."""
    out: Path | None = None
    """Where the mixture goes; it must not exist."""


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    options = tyro.cli(MergeOptions, args=list(arguments), prog="levo merge")
    if not (options.models or options.coefficients or options.base or options.out):
        return run_until(options, "choose")
    print(_merge(options))
    return 0


def _merge(options: MergeOptions) -> str:
    from levo.alignment.interpolation import MergeError, WeightedModel, merge_models

    if len(options.models) != len(options.coefficients) or not options.models:
        raise MergeError(
            f"{len(options.models)} --models and {len(options.coefficients)} --coefficients; expected a number a model"
        )
    if options.out is None:
        raise MergeError("--models without --out; expected a folder for the mixture")
    if options.out.exists():
        raise MergeError(f"{options.out} exists; choose another --out")
    parts = [WeightedModel(*part) for part in zip(options.models, options.coefficients, strict=True)]
    return merge_models(parts, options.out, base=options.base)
