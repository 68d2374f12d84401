"""Stems of a mixture of which the vocal is known: the accompaniment is what remains."""

import numpy as np
from jaxtyping import Float32

from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.waveform import Waveform

_PCM_STEPS = 1 << 23


def in_pcm_steps(samples: Float32[Array, "channel sample"]) -> Float32[Array, "channel sample"]:
    """Samples rounded to steps of 24-bit PCM, whose sums with others of such steps are exact."""
    rounded: Float32[Array, "channel sample"] = np.round(samples * _PCM_STEPS) / np.float32(_PCM_STEPS)
    return rounded


def stems_beside(vocal: Float32[Array, "channel sample"], mixture: Waveform) -> Stems:
    """The vocal in steps of 24-bit PCM, and the mixture without it: a mixture of 16 or 24 bits is their exact sum."""
    rate, rounded = mixture.sample_rate_hz, in_pcm_steps(vocal)
    rest = mixture.samples - rounded
    return Stems(Waveform(rounded, rate), Waveform(rest, rate), Waveform(rounded + rest, rate))
