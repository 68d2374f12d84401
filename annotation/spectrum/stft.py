"""The short-time Fourier transform of a channel and its inverse."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True)
class StftConfig:
    """Window and hop, in samples; the window is a periodic Hann, centred on its frame."""

    window_samples: int
    hop_samples: int

    def __post_init__(self) -> None:
        if not 0 < self.hop_samples <= self.window_samples // 2:
            raise ValueError(
                f"hop of {self.hop_samples} samples with a window of {self.window_samples}; "
                "expected at most half a window, or the inverse does not exist"
            )

    @property
    def num_bins(self) -> int:
        """Frequencies of a frame, from 0 Hz to half the sample rate."""
        return self.window_samples // 2 + 1

    def num_frames(self, num_samples: int) -> int:
        """Frames of a signal: one a hop, the first centred on its first sample."""
        return 1 + num_samples // self.hop_samples

    def frequencies_hz(self, sample_rate_hz: int) -> Float32[Array, " bin"]:
        """The bins' centre frequencies."""
        return fft.rfftfreq(self.window_samples, 1 / sample_rate_hz).astype(np.float32)


def stft_config(sample_rate_hz: int, window_s: float, hop_s: float) -> StftConfig:
    """Window and hop of about the given length, the window an even product of small primes for the FFT's sake."""
    window_samples = 2 * int(fft.next_fast_len(round(window_s * sample_rate_hz / 2), real=True))
    return StftConfig(window_samples, round(hop_s * sample_rate_hz))


def stft(samples: Float32[Array, " sample"], config: StftConfig) -> Complex64[Array, "frame bin"]:
    """Spectra of overlapping windows; the signal is taken as zero outside."""
    half = config.window_samples // 2
    num_frames = config.num_frames(samples.size)
    padded = np.zeros((num_frames - 1) * config.hop_samples + config.window_samples, dtype=np.float32)
    padded[half : half + samples.size] = samples
    frames = sliding_window_view(padded, config.window_samples)[:: config.hop_samples][:num_frames]
    return fft.rfft(frames * _hann(config.window_samples), axis=1)


def inverse_stft(
    spectrum: Complex64[Array, "frame bin"], config: StftConfig, num_samples: int
) -> Float32[Array, " sample"]:
    """The signal whose spectra are nearest (least squares) to the given ones; exact for an unchanged spectrum.

    D. Griffin, J. Lim: Signal estimation from modified short-time Fourier transform, 1984, equation 6.
    """
    window = _hann(config.window_samples)
    frames = fft.irfft(spectrum, n=config.window_samples, axis=1) * window
    signal = overlap_add(frames, config.hop_samples)
    weight = overlap_add(np.broadcast_to(window**2, frames.shape), config.hop_samples)
    half = config.window_samples // 2
    inside = slice(half, half + num_samples)
    return np.asarray(signal[inside] / np.maximum(weight[inside], 1e-8), dtype=np.float32)


def overlap_add(frames: Float32[Array, "frame sample"], hop_samples: int) -> Float32[Array, " sample"]:
    """The sum of frames that start a hop apart, followed by at least half a frame of zeros."""
    num_frames, length = frames.shape
    num_parts = -(-length // hop_samples)
    parts = np.zeros((num_frames, num_parts * hop_samples), dtype=np.float32)
    parts[:, :length] = frames
    blocks = parts.reshape(num_frames, num_parts, hop_samples)
    total = np.zeros((num_frames + 2 * num_parts, hop_samples), dtype=np.float32)
    for part in range(num_parts):
        total[part : part + num_frames] += blocks[:, part]
    return total.reshape(-1)


def _hann(length: int) -> Float32[Array, " sample"]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
