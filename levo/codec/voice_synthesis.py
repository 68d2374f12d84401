"""Voice from codes: pulses and noise, shaped by each code's minimum-phase envelopes."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex64, Float32, Int32
from scipy import fft

from levo.codec.codebook import code_means, level_means
from levo.codec.spectrum import POWER_FLOOR, hann_window, overlap_add, windows_of
from levo.codec.steady_pitch import steady_pitch
from levo.codec.voice_analysis import (
    FFT_LENGTH,
    HOPS_PER_FRAME,
    NUM_BANDS,
    SILENT_LOG_POWER,
    VoiceFrames,
    band_centres_hz,
)
from levo.song.arrays import Array

_NOISE_SEED = 20
_TAPS = 8
_PHASES = 32


@dataclass(frozen=True, eq=False)
class VoiceTable:
    """What each code sounds like, and from it the song of a row of codes."""

    log_bands: Float32[Array, "code hop band"]
    voicing: Float32[Array, "code hop"]
    f0_hz: Float32[Array, " code"]
    deviation_octaves: Float32[Array, " code"]
    sample_rate_hz: int
    frame_length: int

    @property
    def num_codes(self) -> int:
        """Codes that it has a sound for."""
        return int(self.log_bands.shape[0])

    def synthesise(self, codes: Int32[Array, " frame"]) -> Float32[Array, " sample"]:
        """Samples of whole frames."""
        hop = self.frame_length // HOPS_PER_FRAME
        windows = windows_of(self._excitation(codes), 2 * hop, hop) * hann_window(2 * hop)
        envelopes = self._envelopes[codes].reshape(-1, FFT_LENGTH // 2 + 1)
        shaped = fft.irfft(fft.rfft(windows, n=FFT_LENGTH, axis=1) * envelopes, n=FFT_LENGTH, axis=1)
        before = hop // 2
        return overlap_add(shaped, hop)[before : before + codes.shape[0] * self.frame_length]

    @cached_property
    def _envelopes(self) -> Complex64[Array, "code hop bin"]:
        """Made when the first song is: a table that is read for its codes alone needs none."""
        silent = self.log_bands.max(axis=(1, 2)) < SILENT_LOG_POWER
        envelopes = _minimum_phase(self.log_bands, self.sample_rate_hz)
        return np.where(silent[:, None, None], np.complex64(0), envelopes)

    def _excitation(self, codes: Int32[Array, " frame"]) -> Float32[Array, " sample"]:
        """White sound of unit power: pulses where voiced, noise where not, both where the code is between."""
        hop = self.frame_length // HOPS_PER_FRAME
        voicing = np.repeat(self.voicing[codes].reshape(-1), hop)
        num_samples = voicing.shape[0]
        noise = np.random.default_rng(_NOISE_SEED).standard_normal(num_samples, dtype=np.float32)
        if not self.f0_hz[codes].any():
            return noise
        pulses = _pulse_train(self._pitch(codes), self.sample_rate_hz)
        mixed: Float32[Array, " sample"] = np.sqrt(voicing) * pulses + np.sqrt(1 - voicing) * noise
        return mixed

    def _pitch(self, codes: Int32[Array, " frame"]) -> Float32[Array, " sample"]:
        """Pitch of each sample: straight lines in log frequency between the centres of voiced frames."""
        f0_hz = self.f0_hz[codes]
        is_voiced = f0_hz > 0
        octaves = steady_pitch(
            np.log2(np.where(is_voiced, f0_hz, 1)), self.deviation_octaves[codes], is_voiced.astype(np.float32)
        )
        centres = (np.flatnonzero(is_voiced) + 0.5) * self.frame_length
        by_sample = np.interp(np.arange(codes.shape[0] * self.frame_length), centres, octaves[is_voiced])
        return np.asarray(np.exp2(by_sample), dtype=np.float32)


def fit_voice_table(
    frames: VoiceFrames, codes: Int32[Array, " frame"], num_codes: int, sample_rate_hz: int, frame_length: int
) -> VoiceTable:
    """Each code as the mean of its frames, silent without any; its pitch is the geometric mean of the voiced ones."""
    log_bands = level_means(frames.log_bands.reshape(codes.shape[0], -1), codes, num_codes, math.log(POWER_FLOOR))
    voicing = code_means(frames.voicing, codes, num_codes)
    is_voiced = frames.f0_hz > 0
    octaves = np.log2(frames.f0_hz[is_voiced])[:, None].astype(np.float32)
    mean_octaves = code_means(octaves, codes[is_voiced], num_codes)
    variance = code_means(np.square(octaves - mean_octaves[codes[is_voiced]]), codes[is_voiced], num_codes)
    has_pitch = np.bincount(codes[is_voiced], minlength=num_codes) > 0
    return VoiceTable(
        log_bands.reshape(num_codes, HOPS_PER_FRAME, NUM_BANDS),
        voicing,
        np.where(has_pitch, np.exp2(mean_octaves[:, 0]), 0).astype(np.float32),
        np.sqrt(variance[:, 0]),
        sample_rate_hz,
        frame_length,
    )


def _minimum_phase(log_bands: Float32[Array, "code hop band"], sample_rate_hz: int) -> Complex64[Array, "code hop bin"]:
    """The causal filter of each envelope, by folding its cepstrum (Oppenheim and Schafer, 1989)."""
    bins_hz = np.arange(FFT_LENGTH // 2 + 1) * sample_rate_hz / FFT_LENGTH
    weights = np.stack([np.interp(bins_hz, band_centres_hz(sample_rate_hz), row) for row in np.eye(NUM_BANDS)])
    log_magnitude = log_bands @ weights.astype(np.float32) / 2
    cepstra = fft.irfft(log_magnitude, axis=2)
    fold = np.zeros(FFT_LENGTH, dtype=np.float32)
    fold[[0, FFT_LENGTH // 2]] = 1
    fold[1 : FFT_LENGTH // 2] = 2
    spectra: Complex64[Array, "code hop bin"] = np.exp(fft.rfft(cepstra * fold, axis=2)).astype(np.complex64)
    return spectra


def _pulse_train(f0_hz: Float32[Array, " sample"], sample_rate_hz: int) -> Float32[Array, " sample"]:
    """Band-limited pulses of unit mean power, placed between samples where they fall there."""
    phase = np.cumsum(f0_hz.astype(np.float64) / sample_rate_hz)
    at = np.flatnonzero(np.diff(np.floor(phase), prepend=0.0) > 0)
    period = sample_rate_hz / f0_hz[at]
    early = (phase[at] - np.floor(phase[at])) * period
    pulses = np.zeros(f0_hz.shape[0] + 2 * _TAPS, dtype=np.float32)
    kernels = _fractional_pulses()[np.minimum((early * _PHASES).astype(np.int64), _PHASES - 1)]
    np.add.at(
        pulses, at[:, None] + np.arange(_TAPS) + _TAPS // 2, kernels * np.sqrt(period)[:, None].astype(np.float32)
    )
    return pulses[_TAPS : _TAPS + f0_hz.shape[0]]


def _fractional_pulses() -> Float32[Array, "phase tap"]:
    """Windowed sinc pulses that come 0 ... 1 sample early; tap TAPS / 2 is the sample named."""
    early = (np.arange(_PHASES) + 0.5) / _PHASES
    offsets = np.arange(_TAPS) - _TAPS // 2 + early[:, None]
    return np.asarray(np.sinc(offsets) * np.cos(np.pi * offsets / (_TAPS + 2)) ** 2, dtype=np.float32)
