"""What a sung frame sounds like: four spectral envelopes, four voicing flags and one pitch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import fft

from levo.codec.pitch import track_pitch
from levo.codec.spectrum import POWER_FLOOR, mel_of_hz, power_spectrogram
from levo.song.arrays import Array

HOPS_PER_FRAME = 4
NUM_BANDS = 40
NUM_CEPSTRA = 22
FFT_LENGTH = 512
SILENT_LOG_POWER = float(np.log(1e-7))
_UNVOICED_WIDTH_HZ = 200.0


@dataclass(frozen=True, slots=True, eq=False)
class VoiceFrames:
    """Frames of one voice; `f0_hz` is 0 where no hop of the frame is voiced."""

    log_bands: Float32[Array, "frame hop band"]
    voicing: Float32[Array, "frame hop"]
    f0_hz: Float32[Array, " frame"]

    @property
    def silent(self) -> Bool[Array, " frame"]:
        """Frames below -70 dB in every band."""
        return np.asarray(self.log_bands.max(axis=(1, 2)) < SILENT_LOG_POWER)


def analyse_voice(samples: Float32[Array, " sample"], sample_rate_hz: int, frame_length: int) -> VoiceFrames:
    """Frames of a voice alone; the samples fill whole frames.

    A band's power is the mean over the band, or over one harmonic spacing where that is wider, so that the envelope
    does not follow single harmonics (the idea of CheapTrick: Morise, 2015).
    """
    hop = frame_length // HOPS_PER_FRAME
    pitch = track_pitch(samples, sample_rate_hz, hop)
    power = power_spectrogram(samples, 3 * hop, hop, FFT_LENGTH)
    width_hz = np.where(pitch.voiced, pitch.f0_hz, _UNVOICED_WIDTH_HZ)
    log_bands = _log_band_means(power, width_hz, sample_rate_hz).reshape(-1, HOPS_PER_FRAME, NUM_BANDS)
    voicing = pitch.voiced.reshape(-1, HOPS_PER_FRAME).astype(np.float32)
    return VoiceFrames(log_bands, voicing, _frame_pitch(pitch.f0_hz.reshape(-1, HOPS_PER_FRAME)))


def voice_features(
    frames: VoiceFrames, *, level_weight: float, voicing_weight: float, pitch_weight: float
) -> Float32[Array, "frame feature"]:
    """Mel-cepstra, voicing flags and log pitch, weighted for the Euclidean distance that quantises them."""
    cepstra = fft.dct(frames.log_bands, axis=2, norm="ortho")[:, :, :NUM_CEPSTRA] / np.sqrt(NUM_BANDS)
    cepstra[:, :, 0] *= level_weight
    is_voiced = frames.f0_hz > 0
    octaves = np.log2(np.where(is_voiced, frames.f0_hz, 200.0) / 200.0)
    return np.concatenate(
        [
            cepstra.reshape(cepstra.shape[0], -1),
            frames.voicing * voicing_weight,
            (octaves * pitch_weight)[:, None],
        ],
        axis=1,
    ).astype(np.float32)


def band_centres_hz(sample_rate_hz: int) -> Float32[Array, " band"]:
    """Centres of the bands, evenly spaced in mel."""
    return _edges_hz(sample_rate_hz)[1:-1].astype(np.float32)


def _edges_hz(sample_rate_hz: int) -> Array:
    return np.asarray(700 * np.expm1(np.linspace(mel_of_hz(60.0), mel_of_hz(sample_rate_hz / 2), NUM_BANDS + 2) / 1127))


def _log_band_means(
    power: Float32[Array, "hop bin"], width_hz: Float32[Array, " hop"], sample_rate_hz: int
) -> Float32[Array, "hop band"]:
    edges = _edges_hz(sample_rate_hz)
    half_bands = (edges[2:] - edges[:-2]) / 4
    half_hz = np.maximum(half_bands, width_hz[:, None] / 2)
    bins_per_hz = FFT_LENGTH / sample_rate_hz
    low = np.maximum((edges[1:-1] - half_hz) * bins_per_hz + 0.5, 0)
    high = np.minimum((edges[1:-1] + half_hz) * bins_per_hz + 0.5, power.shape[1])
    cumulative = np.zeros((power.shape[0], power.shape[1] + 1), dtype=np.float64)
    np.cumsum(power, axis=1, out=cumulative[:, 1:])
    mean = (_between(cumulative, high) - _between(cumulative, low)) / (high - low)
    return np.asarray(np.log(np.maximum(mean, POWER_FLOOR)), dtype=np.float32)


def _between(rows: Array, positions: Array) -> Array:
    """Each row, linearly interpolated at its own positions."""
    left = np.minimum(positions.astype(np.int64), rows.shape[1] - 2)
    part = positions - left
    flat = left + np.arange(rows.shape[0])[:, None] * rows.shape[1]
    values = rows.reshape(-1)
    return np.asarray(values[flat] * (1 - part) + values[flat + 1] * part)


def _frame_pitch(f0_hz: Float32[Array, "frame hop"]) -> Float32[Array, " frame"]:
    """The median of the voiced hops, which one octave error does not move; of an even number the lower of the two."""
    ordered = np.sort(np.where(f0_hz > 0, f0_hz, np.inf), axis=1)
    num_voiced = (f0_hz > 0).sum(axis=1)
    middle = ordered[np.arange(f0_hz.shape[0]), np.maximum(num_voiced - 1, 0) // 2]
    return np.where(num_voiced > 0, middle, 0).astype(np.float32)
