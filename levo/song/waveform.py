"""A waveform and its sample rate: the two never travel apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Sound in [-1, 1], one row a channel."""

    samples: Float32[Array, "channel sample"]
    sample_rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2:
            raise ValueError(f"samples have shape {self.samples.shape}; expected [channel, sample]")
        if self.samples.dtype != np.float32:
            raise ValueError(f"samples are {self.samples.dtype}; expected float32")
        if self.sample_rate_hz <= 0:
            raise ValueError(f"sample rate {self.sample_rate_hz} Hz; expected a positive number")

    @property
    def num_samples(self) -> int:
        """Samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate_hz

    @property
    def mono(self) -> Float32[Array, " sample"]:
        """The mean of the channels."""
        if self.samples.shape[0] == 1:
            return self.samples.reshape(-1)
        mean = np.empty(self.num_samples, dtype=np.float32)
        self.samples.mean(axis=0, out=mean)
        return mean


def mono_waveform(samples: Float32[Array, " sample"], sample_rate_hz: int) -> Waveform:
    """One channel as a waveform."""
    return Waveform(np.ascontiguousarray(samples, dtype=np.float32)[None, :], sample_rate_hz)
