"""Pitch of a single voice: the first strong peak of the normalised autocorrelation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import fft

from levo.codec.spectrum import hann_window, windows_of
from levo.song.arrays import Array

LOWEST_HZ = 70.0
HIGHEST_HZ = 600.0
_WINDOW_S = 0.048
_VOICED_CORRELATION = 0.45
_OCTAVE_TOLERANCE = 0.85
_SILENT_RMS = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class PitchTrack:
    """Fundamental frequency of each hop (0 where unvoiced) and whether the hop is voiced."""

    f0_hz: Float32[Array, " hop"]
    voiced: Bool[Array, " hop"]


def track_pitch(samples: Float32[Array, " sample"], sample_rate_hz: int, hop: int) -> PitchTrack:
    """Pitch by autocorrelation, divided by the window's own (Boersma, 1993), at half the rate for speed.

    Of the peaks within 15 % of the highest, that of the shortest lag is taken: its multiples are peaks as well.
    """
    if hop % 2:
        raise ValueError(f"hop is {hop} samples; expected an even number, since pitch is tracked at half the rate")
    halved = _half_band(samples)[::2].astype(np.float32)
    rate_hz = sample_rate_hz / 2
    windows = _centred_windows(halved, int(_WINDOW_S * rate_hz), hop // 2)
    rms = np.sqrt(np.square(windows).mean(axis=1))
    correlation = _normalised_correlation(windows)
    shortest, longest = int(rate_hz / HIGHEST_HZ), int(np.ceil(rate_hz / LOWEST_HZ))
    inner = correlation[:, shortest : longest + 1]
    is_peak = (inner >= correlation[:, shortest - 1 : longest]) & (inner > correlation[:, shortest + 1 : longest + 2])
    heights = np.where(is_peak, inner, np.float32(-1))
    best = heights.max(axis=1)
    lag = (heights >= _OCTAVE_TOLERANCE * np.maximum(best, 0)[:, None]).argmax(axis=1) + shortest
    voiced = (best > _VOICED_CORRELATION) & (rms > _SILENT_RMS)
    f0_hz = np.where(voiced, rate_hz / (lag + _peak_offset(correlation, lag)), 0).astype(np.float32)
    return PitchTrack(f0_hz, voiced)


def _half_band(samples: Float32[Array, " sample"]) -> Float32[Array, " sample"]:
    from scipy import signal  # more than a second to import, which who decodes need not wait for

    sections = signal.butter(6, 0.2, output="sos").astype(np.float32)
    filtered: Float32[Array, " sample"] = signal.sosfilt(sections, samples)
    return filtered


def _centred_windows(samples: Float32[Array, " sample"], length: int, hop: int) -> Float32[Array, "hop sample"]:
    windows = windows_of(samples, length, hop) * hann_window(length)
    centred: Float32[Array, "hop sample"] = windows - windows.mean(axis=1, keepdims=True)
    return centred


def _normalised_correlation(windows: Float32[Array, "hop sample"]) -> Float32[Array, "hop lag"]:
    """Correlation of each window with itself over that of the window's shape, up to three quarters of its length."""
    length = windows.shape[1]
    fft_length = fft.next_fast_len(2 * length, real=True)
    num_lags = 3 * length // 4
    correlation = _autocorrelation(windows, fft_length)[:, :num_lags]
    of_window = _autocorrelation(hann_window(length)[None, :], fft_length)[:, :num_lags]
    energy = np.maximum(correlation[:, :1], np.float32(1e-12))
    normalised: Float32[Array, "hop lag"] = correlation / energy * (of_window[:, :1] / of_window)
    return normalised


def _autocorrelation(rows: Float32[Array, "row sample"], fft_length: int) -> Float32[Array, "row lag"]:
    spectra = fft.rfft(rows, n=fft_length, axis=1)
    correlation: Float32[Array, "row lag"] = fft.irfft(
        np.square(spectra.real) + np.square(spectra.imag), n=fft_length, axis=1
    )
    return correlation


def _peak_offset(correlation: Float32[Array, "hop lag"], lag: Array) -> Float32[Array, " hop"]:
    """Distance from the lag to the summit of the parabola through it and its neighbours."""
    rows = np.arange(lag.shape[0])
    left, middle, right = correlation[rows, lag - 1], correlation[rows, lag], correlation[rows, lag + 1]
    bend = left - 2 * middle + right
    flat = np.abs(bend) < 1e-9
    return np.where(flat, 0, np.clip(0.5 * (left - right) / np.where(flat, 1, bend), -0.5, 0.5)).astype(np.float32)
