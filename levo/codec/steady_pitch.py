"""Pitch told more exactly than one code can: neighbouring frames of one note are averaged."""

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array

_REACH_FRAMES = 4
_LEAST_DEVIATION_OCTAVES = 0.01


def steady_pitch(
    octaves: Float32[Array, " frame"], deviation_octaves: Float32[Array, " frame"], voiced: Float32[Array, " frame"]
) -> Float32[Array, " frame"]:
    """Log pitch of each frame, averaged with its neighbours' by how exact each is and how likely they are one note.

    A code tells its pitch within a deviation. A neighbour counts by the inverse of its variance, and less the further
    it lies away against both deviations, so that steps between notes stay steps (a bilateral filter: Tomasi and
    Manduchi, 1998). Frames of weight 0 in `voiced` count nothing.
    """
    variance = np.square(np.maximum(deviation_octaves, _LEAST_DEVIATION_OCTAVES))
    num_frames = octaves.shape[0]
    weighted, weight = np.zeros(num_frames), np.zeros(num_frames)
    for offset in range(-_REACH_FRAMES, _REACH_FRAMES + 1):
        here = np.arange(max(0, -offset), num_frames - max(0, offset))
        there = here + offset
        distance = np.square(octaves[there] - octaves[here]) / (variance[there] + variance[here])
        share = voiced[there] / variance[there] * np.exp(-distance / 4)
        weighted[here] += share * octaves[there]
        weight[here] += share
    steady: Float32[Array, " frame"] = np.where(weight > 0, weighted / np.maximum(weight, 1e-12), octaves)
    return steady.astype(np.float32)
