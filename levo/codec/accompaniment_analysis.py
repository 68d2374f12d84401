"""What an accompanied frame sounds like: energies of a few bands over time, and which semitones fill them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Int64

from levo.codec.spectrum import POWER_FLOOR, power_spectrogram
from levo.song.arrays import Array

HOPS_PER_FRAME = 4
LOWEST_PITCH = 28
NUM_PITCHES = 80
SILENT_LOG_POWER = float(np.log(1e-7))
_FFT_LENGTH = 512
_LOW_FFT_LENGTH = 1024
_NUM_LOW_BANDS = 5
_LONG_FFT_LENGTH = 4096
_FIRST_BAND_PITCHES = 23
_BAND_PITCHES = 6


@dataclass(frozen=True, slots=True, eq=False)
class AccompanimentFrames:
    """Frames of an accompaniment.

    `log_bands` is the log power of each band in each hop; `shares` tells how the tonal part of a band's power falls
    on its semitones (MIDI pitches from `LOWEST_PITCH`): they add up to the band's tonal share, 0 ... 1.
    """

    log_bands: Float32[Array, "frame hop band"]
    shares: Float32[Array, "frame pitch"]

    @property
    def silent(self) -> Bool[Array, " frame"]:
        """Frames below -70 dB in every band."""
        return np.asarray(self.log_bands.max(axis=(1, 2)) < SILENT_LOG_POWER)


def analyse_accompaniment(
    samples: Float32[Array, " sample"], sample_rate_hz: int, frame_length: int
) -> AccompanimentFrames:
    """Frames of an accompaniment; the samples fill whole frames.

    Times come from short windows, in low bands from twice as long ones that keep neighbours apart, and pitches from
    long windows: no window resolves all.
    """
    hop = frame_length // HOPS_PER_FRAME
    edges_hz = band_edges_hz(sample_rate_hz)
    bands = _power_between(power_spectrogram(samples, 3 * hop, hop, _FFT_LENGTH), edges_hz, sample_rate_hz)
    low = power_spectrogram(samples, _LOW_FFT_LENGTH, hop, _LOW_FFT_LENGTH)
    bands[:, :_NUM_LOW_BANDS] = _power_between(low, edges_hz[: _NUM_LOW_BANDS + 1], sample_rate_hz)
    log_bands = np.log(np.maximum(bands, POWER_FLOOR)).astype(np.float32).reshape(-1, HOPS_PER_FRAME, bands.shape[1])
    long = power_spectrogram(samples, _LONG_FFT_LENGTH, frame_length, _LONG_FFT_LENGTH)
    return AccompanimentFrames(log_bands, _tonal_shares(long, sample_rate_hz))


def accompaniment_features(frames: AccompanimentFrames, *, pitch_weight: float) -> Float32[Array, "frame feature"]:
    """Band levels in nepers, and square roots of each semitone's part of all tonal power, weighted by its loudness."""
    levels = frames.log_bands.reshape(frames.log_bands.shape[0], -1) / 2
    power = np.exp(frames.log_bands).mean(axis=1)[:, band_of_pitch()] * frames.shares
    loudness = np.maximum(np.exp(frames.log_bands).mean(axis=1).sum(axis=1), np.exp(SILENT_LOG_POWER))
    pitches = np.sqrt(power / loudness[:, None])
    return np.concatenate([levels, pitches * pitch_weight], axis=1).astype(np.float32)


def band_edges_hz(sample_rate_hz: int) -> Array:
    """One band below 156 Hz, then half octaves up to half the rate."""
    pitches = np.arange(LOWEST_PITCH + _FIRST_BAND_PITCHES, 128, _BAND_PITCHES)
    edges = pitch_hz(np.concatenate([[LOWEST_PITCH - 12], pitches]) - 0.5)
    return np.concatenate([edges[edges < 0.9 * sample_rate_hz / 2], [sample_rate_hz / 2]])


def band_of_pitch() -> Int64[Array, " pitch"]:
    """The band that each semitone lies in."""
    return np.maximum(0, (np.arange(NUM_PITCHES) - _FIRST_BAND_PITCHES) // _BAND_PITCHES + 1)


def pitch_hz(pitch: Array) -> Array:
    """Equal temperament with A4 = MIDI pitch 69 = 440 Hz."""
    return np.asarray(440 * np.exp2((pitch - 69) / 12))


def _power_between(power: Float32[Array, "hop bin"], edges_hz: Array, sample_rate_hz: int) -> Array:
    """Signal power between neighbouring edges: 1 over all bands for white noise of unit variance."""
    num_bins = power.shape[1]
    fft_length = 2 * (num_bins - 1)
    cumulative = np.zeros((power.shape[0], num_bins + 1))
    np.cumsum(power, axis=1, out=cumulative[:, 1:])
    positions = np.clip(edges_hz * fft_length / sample_rate_hz + 0.5, 0, num_bins)
    left = np.minimum(positions.astype(np.int64), num_bins - 1)
    part = positions - left
    at_edges = cumulative[:, left] * (1 - part) + cumulative[:, left + 1] * part
    return np.asarray(np.diff(at_edges, axis=1) * 2 / fft_length)


def _tonal_shares(power: Float32[Array, "frame bin"], sample_rate_hz: int) -> Float32[Array, "frame pitch"]:
    """Peaks among the semitones, each with what leaked to its neighbours, scaled to the band's tonal share."""
    edges_hz = pitch_hz(np.arange(LOWEST_PITCH, LOWEST_PITCH + NUM_PITCHES + 1) - 0.5)
    pitches = np.maximum(_power_between(power, edges_hz, sample_rate_hz), POWER_FLOOR)
    padded = np.pad(pitches, ((0, 0), (1, 1)))
    left, right = padded[:, :-2], padded[:, 2:]
    peaks = np.where((pitches >= left) & (pitches > right), np.minimum(pitches + left + right, 2 * pitches), 0)
    bands = band_of_pitch()
    in_band = peaks @ np.eye(bands[-1] + 1)[bands]
    tonality = _tonality(power, sample_rate_hz)
    return (peaks / np.maximum(in_band, POWER_FLOOR)[:, bands] * tonality[:, bands]).astype(np.float32)


def _tonality(power: Float32[Array, "frame bin"], sample_rate_hz: int) -> Float32[Array, "frame band"]:
    """What is left of each band's power without its noise; few bins hold tones, so the lower quartile tells the noise.

    The power of noise in a bin is exponentially distributed: its lower quartile lies at ln(4 / 3) of its mean.
    """
    edges = np.round(band_edges_hz(sample_rate_hz) * _LONG_FFT_LENGTH / sample_rate_hz).astype(np.int64)
    tonality = np.empty((power.shape[0], edges.shape[0] - 1), dtype=np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        bins = power[:, low:high]
        quartile = (high - low) // 4
        noise = np.partition(bins, quartile, axis=1)[:, quartile] / np.log(4 / 3)
        tonality[:, band] = 1 - noise / np.maximum(bins.mean(axis=1), POWER_FLOOR)
    return np.clip(tonality, 0, 1)
