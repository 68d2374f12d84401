"""Energy by pitch class, frame by frame, and how much it speaks for a major or a minor key."""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex64, Float, Float32

from annotation.spectrum.stft import StftConfig
from levo.song.arrays import Array

NUM_PITCH_CLASSES = 12
_LOWEST_HZ = 55.0
_HIGHEST_HZ = 2000.0
_A4_HZ = 440.0
_A4_PITCH_CLASS = 9

# C. L. Krumhansl, E. J. Kessler, 1982: how well each degree fits a key, from the tonic upwards.
_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def chroma(
    spectrum: Complex64[Array, "frame bin"], config: StftConfig, sample_rate_hz: int
) -> Float32[Array, "frame pitch_class"]:
    """Square-rooted magnitude of each pitch class (C is 0) between 55 Hz and 2 kHz; not normalised."""
    return np.sqrt(np.abs(spectrum)) @ pitch_class_weights(config, sample_rate_hz)


@lru_cache(maxsize=16)
def pitch_class_weights(config: StftConfig, sample_rate_hz: int) -> Float32[Array, "bin pitch_class"]:
    """Each bin's share in each pitch class: a Gaussian of half a semitone around its centre, less for high bins."""
    frequencies = config.frequencies_hz(sample_rate_hz)
    inside = (frequencies >= _LOWEST_HZ) & (frequencies <= _HIGHEST_HZ)
    semitones = 12 * np.log2(np.maximum(frequencies, 1.0) / _A4_HZ) + _A4_PITCH_CLASS
    distance = (semitones[:, None] - np.arange(NUM_PITCH_CLASSES) + 6) % 12 - 6
    octaves_from_centre = np.log2(np.maximum(frequencies, 1.0) / 330.0)
    weight = inside * np.exp(-0.5 * (octaves_from_centre / 1.5) ** 2)
    return (weight[:, None] * np.exp(-0.5 * (distance / 0.5) ** 2)).astype(np.float32)


def key_correlations(profile: Float[Array, " pitch_class"]) -> Float[Array, "mode pitch_class"]:
    """Correlation of a mean chroma with each major (row 0) and minor (row 1) key; zero for an even profile."""
    centred = profile - profile.mean()
    norm = float(np.linalg.norm(centred))
    if norm == 0:
        return np.zeros((2, NUM_PITCH_CLASSES))
    correlations = np.empty((2, NUM_PITCH_CLASSES))
    for mode, template in enumerate((_MAJOR_PROFILE, _MINOR_PROFILE)):
        shape = np.asarray(template) - np.mean(template)
        shape /= np.linalg.norm(shape)
        for tonic in range(NUM_PITCH_CLASSES):
            correlations[mode, tonic] = np.roll(shape, tonic) @ centred / norm
    return correlations
