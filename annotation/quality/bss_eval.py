"""Signal to distortion ratio by BSS Eval v4 (F.-R. Stöter et al., arXiv 1804.06267), as `museval` computes it."""

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array


def can_measure() -> bool:
    """Whether museval is installed."""
    return importlib.util.find_spec("museval") is not None


def median_sdr_db(
    true: Sequence[Float32[Array, " sample"]], estimated: Sequence[Float32[Array, " sample"]], sample_rate_hz: int
) -> list[float | None]:
    """Each source's median over frames of a second, which is what separation papers quote; in decibels.

    It is the image ratio: a filter's colouring counts as distortion. None for all where any true or estimated source is
    silent, of which the measure says nothing. Raises ValueError for sources of other lengths.
    """
    lengths = {source.size for source in (*true, *estimated)}
    if len(lengths) != 1 or len(true) != len(estimated):
        raise ValueError(f"sources of {sorted(lengths)} samples, {len(true)} and {len(estimated)}; expected one length")
    if any(not source.any() for source in (*true, *estimated)):
        return [None] * len(true)
    stacked = [np.stack(sources)[..., None].astype(np.float64) for sources in (true, estimated)]
    window = min(sample_rate_hz, lengths.pop())
    ratios = _metrics().bss_eval(*stacked, window=window, hop=window, compute_permutation=False)[0]
    return [None if np.isnan(of_source).all() else float(np.nanmedian(of_source)) for of_source in ratios]


@cache
def _metrics() -> Any:
    """The module of the formulas alone: the package's own start asks for a data set's reader and ffmpeg."""
    found = importlib.util.find_spec("museval")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("no module named 'museval'; pip install --no-deps museval", name="museval")
    file = Path(found.origin).with_name("metrics.py")
    specification = importlib.util.spec_from_file_location("museval_metrics", file)
    if specification is None or specification.loader is None:
        raise ModuleNotFoundError(f"no module in {file}", name="museval")
    module = importlib.util.module_from_spec(specification)
    sys.modules["museval_metrics"] = module
    specification.loader.exec_module(module)
    return module
