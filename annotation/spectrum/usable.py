"""Whether a waveform can be analysed at all, and when it counts as silent."""

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.waveform import Waveform

ANALYSIS_RATE_HZ = 16_000
SILENCE_DBFS = -60.0


def require_usable(waveform: Waveform, name: str, shortest_s: float) -> None:
    """Raise `ValueError` where there are no samples, too few, or any that is not finite; silence is usable."""
    if waveform.samples.size == 0:
        raise ValueError(f"{name} has shape {waveform.samples.shape}; expected at least one channel and one sample")
    if waveform.duration_s < shortest_s:
        raise ValueError(f"{name} lasts {waveform.duration_s:.4f} s; expected at least {shortest_s} s")
    finite = np.isfinite(waveform.samples)
    if not finite.all():
        channel, sample = np.argwhere(~finite)[0]
        value = waveform.samples[channel, sample]
        raise ValueError(f"{name} is {value} at channel {channel}, sample {sample}; expected finite samples")


def is_silent(samples: Float32[Array, "..."]) -> bool:
    """Whether the root mean square stays below -60 dB of full scale."""
    return float(np.sqrt(np.mean(np.square(samples)))) < 10 ** (SILENCE_DBFS / 20)
