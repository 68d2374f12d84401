"""Energy in bands spaced evenly in pitch, as madmom (S. Böck et al., arXiv 1605.07008) computes it for its networks."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int
from scipy import fft

from levo.song.arrays import Array

FRAME_SAMPLES = 2048
HOP_SAMPLES = 441
_TUNING_HZ = 440.0
_FRAMES_AT_ONCE = 4096


def log_bands(
    samples: Float32[Array, " sample"], sample_rate_hz: int, bands_per_octave: int, low_hz: float, high_hz: float
) -> Float32[Array, "frame band"]:
    """log10(1 + magnitude in the band), 2,048 samples a frame, one frame every 441, the first about the first sample.

    The window is a symmetric Hann; the signal is taken as zero outside.
    """
    filters = triangles(sample_rate_hz, bands_per_octave, low_hz, high_hz)
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    num_frames = -(-samples.size // HOP_SAMPLES)
    padded = np.zeros((num_frames - 1) * HOP_SAMPLES + FRAME_SAMPLES, dtype=np.float32)
    kept = min(samples.size, padded.size - FRAME_SAMPLES // 2)
    padded[FRAME_SAMPLES // 2 : FRAME_SAMPLES // 2 + kept] = samples[:kept]
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    parts = [
        np.abs(fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=1)[:, : FRAME_SAMPLES // 2]) @ filters
        for start in range(0, num_frames, _FRAMES_AT_ONCE)
    ]
    return np.asarray(np.log10(np.concatenate(parts) + 1), dtype=np.float32)


@lru_cache(maxsize=4)
def triangles(sample_rate_hz: int, bands_per_octave: int, low_hz: float, high_hz: float) -> Float32[Array, "bin band"]:
    """Triangles of unit sum between neighbours of the bins nearest to the pitches; pitches that share one are one."""
    bins = _bins(sample_rate_hz, bands_per_octave, low_hz, high_hz)
    filters = np.zeros((FRAME_SAMPLES // 2, len(bins) - 2), dtype=np.float32)
    for band, (start, centre, stop) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        if stop - start < 2:
            centre, stop = start, start + 1
        rising = np.linspace(0, 1, centre - start, endpoint=False)
        falling = np.linspace(1, 0, stop - centre, endpoint=False)
        triangle = np.concatenate([rising, falling])
        filters[start:stop, band] = triangle / triangle.sum()
    return filters


def _bins(sample_rate_hz: int, bands_per_octave: int, low_hz: float, high_hz: float) -> Int[Array, " edge"]:
    first, last = (np.log2(edge / _TUNING_HZ) * bands_per_octave for edge in (low_hz, high_hz))
    steps = np.arange(np.floor(first), np.ceil(last))
    pitches = _TUNING_HZ * 2 ** (steps / bands_per_octave)
    pitches = pitches[(pitches >= low_hz) & (pitches <= high_hz)]
    centres = np.arange(FRAME_SAMPLES // 2) * sample_rate_hz / FRAME_SAMPLES
    above = np.clip(np.searchsorted(centres, pitches), 1, len(centres) - 1)
    is_nearer_below = pitches - centres[above - 1] < centres[above] - pitches
    bins: Int[Array, " edge"] = np.unique(above - is_nearer_below)
    return bins
