"""Short-time spectra: windows on a regular grid, mel bands, and overlap-add back to samples."""

import math
from functools import cache

import numpy as np
from jaxtyping import Complex64, Float32
from scipy import fft

from levo.song.arrays import Array

POWER_FLOOR = 1e-10


@cache
def hann_window(length: int) -> Float32[Array, " sample"]:
    """Periodic Hann window: copies shifted by length / n (n > 1) add up to n / 2."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def windows_of(samples: Float32[Array, " sample"], length: int, hop: int) -> Float32[Array, "hop sample"]:
    """One window for each begun hop, centred on the hop; silence beyond the ends."""
    num_hops = -(-samples.shape[0] // hop)
    before = (length - hop) // 2
    padded = np.zeros((num_hops - 1) * hop + length, dtype=np.float32)
    kept = samples[: padded.shape[0] - before]
    padded[before : before + kept.shape[0]] = kept
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def spectrogram(
    samples: Float32[Array, " sample"], window_length: int, hop: int, fft_length: int
) -> Complex64[Array, "hop bin"]:
    """Spectra of Hann windows centred on the hops."""
    spectra: Complex64[Array, "hop bin"] = fft.rfft(
        windows_of(samples, window_length, hop) * hann_window(window_length), n=fft_length, axis=1
    )
    return spectra


def power_spectrogram(
    samples: Float32[Array, " sample"], window_length: int, hop: int, fft_length: int
) -> Float32[Array, "hop bin"]:
    """Power per bin, scaled so that white noise of unit variance has a mean of 1 in every bin."""
    spectra = spectrogram(samples, window_length, hop, fft_length)
    scale = np.float32(1 / np.square(hann_window(window_length)).sum())
    power: Float32[Array, "hop bin"] = (np.square(spectra.real) + np.square(spectra.imag)) * scale
    return power


def overlap_add(windows: Float32[Array, "hop sample"], hop: int) -> Float32[Array, " sample"]:
    """Sum of windows that start one hop apart; (hops - 1) * hop + length samples."""
    num_hops, length = windows.shape
    num_parts = -(-length // hop)
    parts = np.zeros((num_hops + num_parts - 1, hop), dtype=np.float32)
    for part in range(num_parts):
        piece = windows[:, part * hop : (part + 1) * hop]
        parts[part : part + num_hops, : piece.shape[1]] += piece
    return parts.reshape(-1)[: (num_hops - 1) * hop + length]


@cache
def mel_filters(
    num_bands: int, fft_length: int, sample_rate_hz: int, low_hz: float = 50.0, high_hz: float | None = None
) -> Float32[Array, "bin band"]:
    """Triangles of unit sum, evenly spaced on the mel scale 1127 ln(1 + f / 700) (O'Shaughnessy)."""
    edges_mel = np.linspace(mel_of_hz(low_hz), mel_of_hz(high_hz or sample_rate_hz / 2), num_bands + 2)
    edges_hz = 700 * np.expm1(edges_mel / 1127)
    bins_hz = np.arange(fft_length // 2 + 1)[:, None] * sample_rate_hz / fft_length
    bin_hz = sample_rate_hz / fft_length
    rising = (bins_hz - edges_hz[:-2]) / np.maximum(edges_hz[1:-1] - edges_hz[:-2], bin_hz)
    falling = (edges_hz[2:] - bins_hz) / np.maximum(edges_hz[2:] - edges_hz[1:-1], bin_hz)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles / triangles.sum(axis=0), dtype=np.float32)


def mel_of_hz(frequency_hz: float) -> float:
    """The mel scale: 1127 ln(1 + f / 700)."""
    return 1127 * math.log1p(frequency_hz / 700)


def log_mel(
    power: Float32[Array, "hop bin"], filters: Float32[Array, "bin band"], floor: float = POWER_FLOOR
) -> Float32[Array, "hop band"]:
    """Natural log of the mean power in each band, not below the floor's."""
    return np.asarray(np.log(np.maximum(power @ filters, np.float32(floor))))
