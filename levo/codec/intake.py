"""Audio as a model wants it: one channel, one rate, finite, of a stated length."""

import numpy as np
import soxr
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.waveform import Waveform


def mono_at_rate(waveform: Waveform, sample_rate_hz: int, name: str = "audio") -> Float32[Array, " sample"]:
    """The mean of the channels at the given rate; `name` says in errors which waveform is meant.

    Raises `ValueError` where there are no channels, no samples, or samples that are not finite.
    """
    if waveform.samples.size == 0:
        raise ValueError(f"{name} has shape {waveform.samples.shape}; expected at least one channel and one sample")
    num_bad = waveform.samples.size - int(np.isfinite(waveform.samples).sum())
    if num_bad:
        raise ValueError(f"{name}: {num_bad} of {waveform.samples.size} samples are not finite; expected numbers")
    mono = waveform.mono
    if waveform.sample_rate_hz == sample_rate_hz:
        return mono
    resampled: Float32[Array, " sample"] = soxr.resample(mono, waveform.sample_rate_hz, sample_rate_hz)
    return resampled


def num_frames_of(waveform: Waveform, frame_rate_hz: int) -> int:
    """Frames that the waveform reaches into: its duration times the frame rate, rounded up."""
    return -(-waveform.num_samples * frame_rate_hz // waveform.sample_rate_hz)


def fitted_to(samples: Float32[Array, " sample"], num_samples: int) -> Float32[Array, " sample"]:
    """Cut, or filled up with silence, at the end."""
    fitted = np.zeros(num_samples, dtype=np.float32)
    kept = min(num_samples, samples.shape[0])
    fitted[:kept] = samples[:kept]
    return fitted
