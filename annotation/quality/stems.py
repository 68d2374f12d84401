"""Signal-to-distortion ratios of an estimated stem, in decibels.

Signals are real arrays of one shape. An estimate equal to its reference scores +inf, empty and silent ones among them;
an estimate that shares nothing with its reference scores -inf.
"""

import numpy as np
from jaxtyping import Float

from levo.song.arrays import Array


def signal_to_distortion_ratio_db(reference: Float[Array, "..."], estimate: Float[Array, "..."]) -> float:
    """Energy of the reference over the energy of the difference: BSS Eval's image SDR without its distortion filter."""
    truth, guess = _same_shape(reference, estimate)
    return _ratio_db(float(np.sum(truth**2)), float(np.sum((truth - guess) ** 2)))


def scale_invariant_sdr_db(reference: Float[Array, "..."], estimate: Float[Array, "..."]) -> float:
    """The ratio after the reference is scaled to fit the estimate best.

    J. Le Roux et al.: SDR - half-baked or well done?, 2019, equation 3, without subtraction of the mean.
    """
    truth, guess = _same_shape(reference, estimate)
    energy = float(np.sum(truth**2))
    scale = float(np.sum(truth * guess)) / energy if energy > 0 else 1.0
    return _ratio_db(scale**2 * energy, float(np.sum((scale * truth - guess) ** 2)))


def _same_shape(reference: Float[Array, "..."], estimate: Float[Array, "..."]) -> tuple[Array, Array]:
    if reference.shape != estimate.shape:
        raise ValueError(f"estimate has shape {estimate.shape}; expected the reference's {reference.shape}")
    return reference.astype(np.float64), estimate.astype(np.float64)


def _ratio_db(signal_energy: float, distortion_energy: float) -> float:
    if distortion_energy == 0:
        return float("inf")
    if signal_energy == 0:
        return float("-inf")
    return 10 * float(np.log10(signal_energy / distortion_energy))
