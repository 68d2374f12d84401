"""The pitch of one voice, frame by frame, from the autocorrelation of its spectrum's power."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class PitchTrack:
    """Pitch and periodicity (0 to 1) of each frame; the pitch means something only where a frame is voiced."""

    f0_hz: Float32[Array, " frame"]
    periodicity: Float32[Array, " frame"]
    voiced: Bool[Array, " frame"]
    hop_s: float


@dataclass(frozen=True, slots=True)
class PitchConfig:
    """The range of a voice, and what counts as voiced: how periodic, and how far below the loudest frame."""

    lowest_hz: float = 70.0
    highest_hz: float = 700.0
    hop_s: float = 0.02
    min_periodicity: float = 0.6
    min_level_db: float = -30.0


def track_pitch(samples: Float32[Array, " sample"], sample_rate_hz: int, config: PitchConfig) -> PitchTrack:
    """Pitch by normalised autocorrelation, the window's own taper divided out.

    P. Boersma: Accurate short-term analysis of the fundamental frequency, 1993, without its path search: the shortest
    lag whose peak comes within a tenth of the highest is taken, which avoids octaves downwards.
    """
    hop = round(config.hop_s * sample_rate_hz)
    length = 2 * round(1.5 * sample_rate_hz / config.lowest_hz)
    window = np.hanning(length).astype(np.float32)
    padded = np.zeros(samples.size + length, dtype=np.float32)
    padded[length // 2 : length // 2 + samples.size] = samples
    frames = sliding_window_view(padded, length)[::hop] * window
    correlation = _autocorrelation(frames) / _autocorrelation(window[None, :])
    energy = correlation[:, 0]
    shortest, longest = int(sample_rate_hz / config.highest_hz), int(sample_rate_hz / config.lowest_hz) + 1
    normed = correlation[:, : longest + 2] / np.maximum(energy, 1e-12)[:, None]
    lag, periodicity = _first_high_peak(normed, shortest, longest)
    loud = energy > energy.max(initial=0.0) * 10 ** (config.min_level_db / 10)
    voiced = loud & (periodicity >= config.min_periodicity)
    return PitchTrack((sample_rate_hz / lag).astype(np.float32), periodicity, voiced, hop / sample_rate_hz)


def _autocorrelation(frames: Float32[Array, "frame sample"]) -> Float32[Array, "frame lag"]:
    length = frames.shape[1]
    size = int(fft.next_fast_len(2 * length, real=True))
    power = np.square(np.abs(fft.rfft(frames, n=size, axis=1)))
    correlation: Float32[Array, "frame lag"] = fft.irfft(power, n=size, axis=1)[:, : length // 2]
    return correlation


def _first_high_peak(
    normed: Float32[Array, "frame lag"], shortest: int, longest: int
) -> tuple[Float32[Array, " frame"], Float32[Array, " frame"]]:
    """Lag, refined by a parabola, and height of the first peak that is nearly the highest."""
    inner = normed[:, shortest : longest + 1]
    is_peak = (inner >= normed[:, shortest - 1 : longest]) & (inner > normed[:, shortest + 1 : longest + 2])
    heights = np.where(is_peak, inner, 0)
    high = heights >= 0.9 * heights.max(axis=1, keepdims=True)
    first = shortest + np.argmax(high & is_peak, axis=1)
    rows = np.arange(normed.shape[0])
    left, middle, right = (normed[rows, first + shift] for shift in (-1, 0, 1))
    curve = left - 2 * middle + right
    shift = np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0)
    return (first + np.clip(shift, -0.5, 0.5)).astype(np.float32), np.clip(heights.max(axis=1), 0, 1)
