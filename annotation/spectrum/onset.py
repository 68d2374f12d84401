"""Onset strength, and the tempo that its autocorrelation shows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy import fft

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True)
class Tempo:
    """Beats a minute, and how periodic the onsets are at that beat (0 to 1)."""

    bpm: float
    confidence: float


@dataclass(frozen=True, slots=True)
class TempoConfig:
    """The range of tempi, and the preference among octaves: a bell over log tempo around a centre."""

    lowest_bpm: float = 60.0
    highest_bpm: float = 220.0
    centre_bpm: float = 155.0
    width_octaves: float = 0.7
    min_confidence: float = 0.1


def onset_strength(levels_db: Float32[Array, "frame band"], bands: slice = slice(None)) -> Float32[Array, " frame"]:
    """Rise in level from one frame to the next, averaged over the bands (spectral flux in decibels)."""
    rise = np.diff(levels_db[:, bands], axis=0, prepend=levels_db[:1, bands])
    strength: Float32[Array, " frame"] = np.maximum(rise, 0).mean(axis=1)
    return strength


def tempo_of(strength: Float32[Array, " frame"], hop_s: float, config: TempoConfig) -> Tempo | None:
    """The beat whose period and multiples the onsets repeat at; none where they show no period.

    Each period is scored by the mean autocorrelation at one to four times its lag, and weighed by the preference.
    """
    correlation = _normed_autocorrelation(strength - strength.mean())
    periods_s = 60 / np.geomspace(config.lowest_bpm, config.highest_bpm, 600)
    if correlation.size * hop_s < 2 * periods_s[0]:
        periods_s = periods_s[2 * periods_s <= correlation.size * hop_s]
    if periods_s.size == 0 or not correlation.any():
        return None
    support = _comb(correlation, periods_s / hop_s)
    octaves = np.log2(60 / periods_s / config.centre_bpm)
    best = int(np.argmax(support * np.exp(-0.5 * (octaves / config.width_octaves) ** 2)))
    confidence = float(np.clip(support[best], 0, 1))
    if confidence < config.min_confidence:
        return None
    return Tempo(float(60 / periods_s[best]), confidence)


def _comb(correlation: Float[Array, " lag"], periods: Float[Array, " period"]) -> Float[Array, " period"]:
    """Mean correlation at a period's multiples that fit into the lags, at most four."""
    lags = np.arange(correlation.size)
    total = np.zeros(periods.size)
    count = np.zeros(periods.size)
    for multiple in range(1, 5):
        fits = multiple * periods <= correlation.size - 1
        total += np.where(fits, np.interp(multiple * periods, lags, correlation), 0)
        count += fits
    return total / np.maximum(count, 1)


def _normed_autocorrelation(signal: Float32[Array, " frame"]) -> Float[Array, " lag"]:
    """Autocorrelation up to three quarters of the length, each lag over the energy of what it overlaps."""
    length = signal.size
    spectrum = fft.rfft(signal.astype(np.float64), n=2 * length)
    raw = fft.irfft(np.abs(spectrum) ** 2, n=2 * length)[: max(1, 3 * length // 4)]
    overlap = length - np.arange(raw.size)
    scale = raw[0] / length
    return raw / overlap / scale if scale > 0 else np.zeros(raw.size)
