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
    `--search 12 --out DIR` goes on from there: it moves one coefficient after the other, up to 12 mixtures in all.
    """

    models: tuple[Path, ...] = ()
    """Model folders to interpolate."""
    coefficients: tuple[float, ...] = ()
    """One number a model; they sum to 1 unless there is a base."""
    base: Path | None = None
    """A model that the coefficients weigh differences from: base + sum of c (model - base)."""
    out: Path | None = None
    """Where the mixture goes; it must not exist."""
    search: int = 0
    """How many mixtures of the run's aligned models to try."""
    improve: str = "phoneme_error_rate"
    """What the search improves."""
    limits: tuple[str, ...] = ()
    """What it must keep, as in `phoneme_error_rate<=0.25 musicality>=-0.9`; without any, the recipe's limits."""


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    options = tyro.cli(MergeOptions, args=list(arguments), prog="levo merge")
    if options.search:
        return _search(options)
    if not (options.models or options.coefficients or options.base or options.out):
        return run_until(options, "choose")
    print(_merge(options))
    return 0


def _merge(options: MergeOptions) -> str:
    from levo.alignment.interpolation import MergeError, WeightedModel, merge_models

    out = _new_folder(options.out)
    if len(options.models) != len(options.coefficients) or not options.models:
        raise MergeError(
            f"{len(options.models)} --models and {len(options.coefficients)} --coefficients; expected a number a model"
        )
    parts = [WeightedModel(*part) for part in zip(options.models, options.coefficients, strict=True)]
    return merge_models(parts, out, base=options.base)


def _search(options: MergeOptions) -> int:
    from levo.alignment.interpolation import MergeError

    if options.models or options.coefficients or options.base:
        raise MergeError("--search is for a run's own models; leave out --models, --coefficients and --base")
    out = _new_folder(options.out)
    from jobs.merge_search import metric_named, parse_limit, search_longer

    metric_named(options.improve)
    for limit in options.limits:
        parse_limit(limit)
    run_until(options, "choose")
    found = search_longer(
        options.recipe, options.seed, options.run, options.search, options.improve, options.limits, out
    )
    print(found)
    return 0


def _new_folder(out: Path | None) -> Path:
    from levo.alignment.interpolation import MergeError

    if out is None:
        raise MergeError("no --out; expected a folder for the mixture")
    if out.exists():
        raise MergeError(f"{out} exists; choose another --out")
    return out
