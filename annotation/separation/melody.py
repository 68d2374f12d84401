"""The sung melody: the pitch whose many harmonics stand out of a spectrum, followed from frame to frame.

Harmonics up to 5 kHz all count alike, since a voice fills that range and few instruments do; halves between harmonics
count against, which keeps octaves apart (D. J. Hermes: Measurement of pitch by subharmonic summation, 1988).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True)
class MelodyConfig:
    """The range of a voice, the step between its pitches, and how a melody may move."""

    lowest_hz: float = 85.0
    highest_hz: float = 520.0
    pitches_per_octave: int = 96
    num_harmonics: int = 40
    highest_harmonic_hz: float = 5000.0
    flattening_hz: float = 220.0
    glide_pitches: int = 2
    leap_penalty: float = 10.0
    """In standard deviations of the salience, paid for any move that is no glide."""

    @property
    def pitches_hz(self) -> Float32[Array, " pitch"]:
        """The pitches that a melody can take."""
        count = round(self.pitches_per_octave * np.log2(self.highest_hz / self.lowest_hz)) + 1
        return np.geomspace(self.lowest_hz, self.highest_hz, count).astype(np.float32)


def melody_hz(magnitude: Float32[Array, "frame bin"], bin_hz: float, config: MelodyConfig) -> Float32[Array, " frame"]:
    """One pitch a frame, in frames without a voice too."""
    salience = flattened(magnitude, bin_hz, config) @ harmonic_weights(magnitude.shape[1], bin_hz, config)
    path = best_path(salience / max(float(salience.std()), 1e-9), config.glide_pitches, config.leap_penalty)
    return config.pitches_hz[path]


def flattened(
    magnitude: Float32[Array, "frame bin"], bin_hz: float, config: MelodyConfig
) -> Float32[Array, "frame bin"]:
    """Each bin over the mean of its neighbourhood, so that weak harmonics count as much as strong ones."""
    width = 2 * round(config.flattening_hz / bin_hz / 2) + 1
    surroundings = ndimage.uniform_filter1d(magnitude, width, axis=1)
    floor = 1e-3 * float(magnitude.max(initial=0.0)) + 1e-9
    return magnitude / (surroundings + floor)


@lru_cache(maxsize=8)
def harmonic_weights(num_bins: int, bin_hz: float, config: MelodyConfig) -> Float32[Array, "bin pitch"]:
    """For each pitch +1 at its harmonics and -1 midway below each, spread over two bins; columns of unit length."""
    pitches = config.pitches_hz
    weights = np.zeros((num_bins, pitches.size), dtype=np.float32)
    column = np.arange(pitches.size)
    for harmonic in range(1, config.num_harmonics + 1):
        for multiple, sign in ((harmonic, 1.0), (harmonic - 0.5, -1.0)):
            position = multiple * pitches / bin_hz
            low = position.astype(int)
            inside = (multiple * pitches <= config.highest_harmonic_hz) & (low + 1 < num_bins)
            share = position - low
            weights[low[inside], column[inside]] += sign * (1 - share[inside])
            weights[low[inside] + 1, column[inside]] += sign * share[inside]
    return weights / np.maximum(np.linalg.norm(weights, axis=0), 1e-9)  # type: ignore[no-any-return]


def best_path(salience: Float32[Array, "frame pitch"], glide: int, leap_penalty: float) -> Int[Array, " frame"]:
    """The sequence of pitches with the highest sum; steps of up to `glide` are free, any other costs the penalty."""
    num_frames, num_pitches = salience.shape
    came_from = np.empty((num_frames, num_pitches), dtype=np.int64)
    total = salience[0].astype(np.float64)
    pitch = np.arange(num_pitches)
    for frame in range(1, num_frames):
        padded = np.pad(total, glide, constant_values=-np.inf)
        near = sliding_window_view(padded, 2 * glide + 1).argmax(axis=1) + pitch - glide
        best = int(total.argmax())
        came_from[frame] = np.where(total[near] >= total[best] - leap_penalty, near, best)
        total = np.maximum(total[near], total[best] - leap_penalty) + salience[frame]
    path = np.empty(num_frames, dtype=np.int64)
    path[-1] = total.argmax()
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def comb(
    pitch_hz: Float32[Array, " frame"], frequencies_hz: Float32[Array, " bin"], width_hz: float
) -> Float32[Array, "frame bin"]:
    """Nearness to the pitch's harmonics: 1 on them, a Gaussian of the given width around them, 0 below the first."""
    ratio = frequencies_hz[None, :] / pitch_hz[:, None]
    distance_hz = np.abs((ratio + 0.5) % 1 - 0.5) * pitch_hz[:, None]
    teeth = np.exp(-0.5 * np.square(distance_hz / width_hz)) * (ratio > 0.6)
    return teeth.astype(np.float32)
