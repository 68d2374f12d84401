"""Accompaniment from codes: one oscillator a semitone, and noise shaped by bands."""

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from jaxtyping import Bool, Complex64, Float32, Int32
from scipy import fft

from levo.codec.accompaniment_analysis import (
    HOPS_PER_FRAME,
    LOWEST_PITCH,
    NUM_PITCHES,
    SILENT_LOG_POWER,
    AccompanimentFrames,
    band_edges_hz,
    band_of_pitch,
    pitch_hz,
)
from levo.codec.codebook import code_means, level_means
from levo.codec.spectrum import POWER_FLOOR, hann_window, overlap_add
from levo.song.arrays import Array

_PHASE_SEED = 22
_NOISE_SEED = 21
_NUM_NOISE_HOPS = 499


@dataclass(frozen=True, slots=True, eq=False)
class AccompanimentTable:
    """What each code sounds like, and from it the accompaniment of a row of codes.

    Oscillators run through the whole song, so that a note which lasts over many frames keeps its phase.
    """

    log_bands: Float32[Array, "code hop band"]
    shares: Float32[Array, "code pitch"]
    sample_rate_hz: int
    frame_length: int
    _amplitudes: Float32[Array, "code hop pitch"] = field(init=False, repr=False)
    _noise_gains: Float32[Array, "code hop bin"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        power = np.where(self._silent[:, None, None], np.float32(0), np.exp(self.log_bands))
        tones = power[:, :, band_of_pitch()] * self.shares[:, None, :]
        object.__setattr__(self, "_amplitudes", np.sqrt(2 * tones))
        tonality = self.shares @ np.eye(power.shape[2], dtype=np.float32)[band_of_pitch()]
        noise = power * (1 - np.minimum(tonality, 1))[:, None, :]
        object.__setattr__(self, "_noise_gains", _gains(noise, self.sample_rate_hz, 2 * self._hop))

    @property
    def num_codes(self) -> int:
        """Codes that it has a sound for."""
        return int(self.log_bands.shape[0])

    @property
    def _silent(self) -> Bool[Array, " code"]:
        return np.asarray(self.log_bands.max(axis=(1, 2)) < SILENT_LOG_POWER)

    @property
    def _hop(self) -> int:
        return self.frame_length // HOPS_PER_FRAME

    def synthesise(self, codes: Int32[Array, " frame"]) -> Float32[Array, " sample"]:
        """Samples of whole frames."""
        before = self._hop // 2
        sound = overlap_add(self._tones(codes) + self._noise(codes), self._hop)
        return sound[before : before + codes.shape[0] * self.frame_length]

    def _tones(self, codes: Int32[Array, " frame"]) -> Float32[Array, "hop sample"]:
        amplitudes = self._amplitudes[codes].reshape(-1, NUM_PITCHES)
        angles = _start_angles(amplitudes.shape[0], self._hop, self.sample_rate_hz)
        # sin(a + b) = sin a cos b + cos a sin b: a is the phase where a window starts, b runs within it.
        starts = np.concatenate([np.sin(angles) * amplitudes, np.cos(angles) * amplitudes], axis=1)
        windows: Float32[Array, "hop sample"] = starts @ _running_waves(self._hop, self.sample_rate_hz)
        return windows

    def _noise(self, codes: Int32[Array, " frame"]) -> Float32[Array, "hop sample"]:
        gains = self._noise_gains[codes].reshape(-1, self._noise_gains.shape[2])
        spectra = np.take(_noise_spectra(2 * self._hop), np.arange(gains.shape[0]), axis=0, mode="wrap")
        # Independent noises add by power, and the squares of these windows add up to one.
        noise: Float32[Array, "hop sample"] = fft.irfft(gains * spectra, axis=1) * np.sqrt(hann_window(2 * self._hop))
        return noise


def fit_accompaniment_table(
    frames: AccompanimentFrames, codes: Int32[Array, " frame"], num_codes: int, sample_rate_hz: int, frame_length: int
) -> AccompanimentTable:
    """Each code as the mean of its frames; a code without any is silent."""
    log_bands = level_means(frames.log_bands.reshape(codes.shape[0], -1), codes, num_codes, math.log(POWER_FLOOR))
    shares = code_means(frames.shares, codes, num_codes)
    shape = (num_codes, *frames.log_bands.shape[1:])
    return AccompanimentTable(log_bands.reshape(shape), shares, sample_rate_hz, frame_length)


def _gains(
    noise_power: Float32[Array, "code hop band"], sample_rate_hz: int, window_length: int
) -> Float32[Array, "code hop bin"]:
    """Gain of each bin against white noise of unit variance, whose power is spread evenly over all frequencies."""
    edges_hz = band_edges_hz(sample_rate_hz)
    density = noise_power / (np.diff(edges_hz) / (sample_rate_hz / 2)).astype(np.float32)
    bins_hz = np.arange(window_length // 2 + 1) * sample_rate_hz / window_length
    band = np.clip(np.searchsorted(edges_hz, bins_hz, side="right") - 1, 0, edges_hz.shape[0] - 2)
    gains: Float32[Array, "code hop bin"] = np.sqrt(density)[:, :, band]
    return gains


@cache
def _noise_spectra(window_length: int) -> Complex64[Array, "hop bin"]:
    noise = np.random.default_rng(_NOISE_SEED).standard_normal((_NUM_NOISE_HOPS, window_length), dtype=np.float32)
    spectra: Complex64[Array, "hop bin"] = fft.rfft(noise, axis=1)
    return spectra


def _radians_a_sample(sample_rate_hz: int) -> Array:
    return np.asarray(2 * np.pi * pitch_hz(np.arange(LOWEST_PITCH, LOWEST_PITCH + NUM_PITCHES)) / sample_rate_hz)


def _start_angles(num_hops: int, hop: int, sample_rate_hz: int) -> Float32[Array, "hop pitch"]:
    """Phase of each oscillator where each window starts; they set off apart, so that their crests do not meet."""
    set_off = np.random.default_rng(_PHASE_SEED).uniform(0, 2 * np.pi, NUM_PITCHES)
    angles = np.arange(num_hops)[:, None] * hop * _radians_a_sample(sample_rate_hz) + set_off
    return np.mod(angles, 2 * np.pi).astype(np.float32)


@cache
def _running_waves(hop: int, sample_rate_hz: int) -> Float32[Array, "wave sample"]:
    angles = _radians_a_sample(sample_rate_hz)[:, None] * np.arange(2 * hop)
    return (np.concatenate([np.cos(angles), np.sin(angles)]) * hann_window(2 * hop)).astype(np.float32)
