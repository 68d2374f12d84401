"""Audio fingerprints that survive another codec, rate or loudness (J. Haitsma, T. Kalker, 2002), and their distance.

A fingerprint is a row of 32-bit words, one a frame of 0.37 s, `HOP_S` apart. Bit b of word n tells whether the
difference of energies of bands b and b + 1 grew from frame n - 1 to frame n (their equation 1). Two recordings of one
sound differ in few bits; any others in about half.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt32

from annotation.spectrum.stft import StftConfig, stft
from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.waveform import Waveform

HOP_S = 0.0232
_RATE_HZ = 5512
_WINDOW = StftConfig(window_samples=2048, hop_samples=128)
_NUM_BANDS = 33
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 2000.0
_BIT_VALUES = np.uint32(1) << np.arange(32, dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two fingerprints lie best on each other: the second begins `offset` words after the first's beginning."""

    offset: int
    num_words: int
    bit_error_rate: float


def fingerprint(song: Waveform) -> UInt32[Array, " word"]:
    """A song's words; silence gives zeros, and a song shorter than two frames none."""
    power = np.abs(stft(mono_at_rate(song, _RATE_HZ, "song"), _WINDOW)) ** 2
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _NUM_BANDS + 1)
    bins = np.searchsorted(_WINDOW.frequencies_hz(_RATE_HZ), edges)
    energies = np.add.reduceat(power, bins[:-1], axis=1, dtype=np.float64)
    energies[:, -1] = power[:, bins[-2] : bins[-1]].sum(axis=1)
    slopes = energies[:, :-1] - energies[:, 1:]
    bits = np.diff(slopes, axis=0) > 0
    words: UInt32[Array, " word"] = (bits * _BIT_VALUES).sum(axis=1, dtype=np.uint32)
    return words


def bit_error_rate(one: UInt32[Array, " word"], other: UInt32[Array, " word"]) -> float:
    """The share of bits that differ between rows of equal length; 0.5 where there is nothing to compare."""
    if one.shape != other.shape:
        raise ValueError(f"fingerprints of {len(one)} and {len(other)} words; expected equal numbers")
    if not len(one):
        return 0.5
    return float(np.bitwise_count(one ^ other).sum()) / (32 * len(one))


def best_overlap(
    one: UInt32[Array, " word"], other: UInt32[Array, " word"], offsets: Int64[Array, " offset"], min_words: int
) -> Overlap | None:
    """The best of some offsets at which at least `min_words` lie on each other; None where there is none."""
    found = []
    for offset in np.unique(offsets).tolist():
        start, end = max(offset, 0), min(len(one), offset + len(other))
        if end - start >= min_words:
            rate = bit_error_rate(one[start:end], other[start - offset : end - offset])
            found.append(Overlap(offset, end - start, rate))
    return min(found, key=lambda overlap: overlap.bit_error_rate, default=None)
