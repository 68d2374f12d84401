"""When a song is silent and when somebody sings, from the levels of the mixture and of the vocal."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from annotation.structure.frames import FRAME_S, SongFrames, smoothed
from levo.song.arrays import Array

_SILENT_BELOW_PEAK_DB = -45.0
_SHORTEST_SILENCE_S = 1.0
_RANGE_DB = 35.0
_SMOOTHING_S = 0.8
_LEAST_CONTRAST_DB = 3.0
_LEAST_CONTRAST_BRIEF_DB = 6.0
_BRIEF_BELOW_S = 12.0
_SUNG_ABOVE_MIXTURE_DB = -18.0


def silent_frames(frames: SongFrames) -> Bool[Array, " frame"]:
    """Frames far below the loudest, where they last a second or more."""
    quiet = frames.mixture_db < frames.mixture_db.max() + _SILENT_BELOW_PEAK_DB
    return without_short_runs(quiet, _SHORTEST_SILENCE_S, of=True)


def sung_frames(frames: SongFrames, shortest_s: float) -> Bool[Array, " frame"]:
    """Frames whose vocal is in the upper of the song's two levels; pauses and cries below the shortest run are filled.

    A vocal without two levels is sung throughout, or nowhere if it lies far below the mixture.
    """
    levels = smoothed(np.maximum(frames.voice_db, frames.voice_db.max() - _RANGE_DB), _SMOOTHING_S)
    threshold = two_level_threshold(levels)
    loud = levels > threshold
    heard = float(frames.vocal_db.max()) > float(frames.mixture_db.max()) + _SUNG_ABOVE_MIXTURE_DB
    brief = frames.num_frames * FRAME_S < _BRIEF_BELOW_S
    least_contrast = _LEAST_CONTRAST_BRIEF_DB if brief else _LEAST_CONTRAST_DB
    if loud.all() or not loud.any() or levels[loud].mean() - levels[~loud].mean() < least_contrast:
        return np.full(levels.shape, heard)
    if not heard:
        return np.zeros(levels.shape, dtype=bool)
    return without_short_runs(without_short_runs(loud, shortest_s, of=False), shortest_s, of=True)


def two_level_threshold(values: Float[Array, " value"]) -> float:
    """The cut that splits values into the two groups of least variance (N. Otsu, 1979)."""
    ordered = np.sort(values.astype(np.float64))
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    if below.size == 0:
        return float(ordered[0])
    low_mean = sums[:-1] / below
    high_mean = (sums[-1] - sums[:-1]) / (ordered.size - below)
    between = below * (ordered.size - below) * np.square(high_mean - low_mean)
    best = int(between.argmax())
    return float((ordered[best] + ordered[best + 1]) / 2)


def without_short_runs(frames: Bool[Array, " frame"], shortest_s: float, *, of: bool) -> Bool[Array, " frame"]:
    """The frames, where runs of the given value that are too short have been turned over."""
    runs, count = ndimage.label(frames == of)
    if count == 0:
        return frames
    lengths = np.bincount(runs.reshape(-1))
    short = lengths * FRAME_S < shortest_s - FRAME_S / 2
    short[0] = False
    return np.where(short[runs], not of, frames)
