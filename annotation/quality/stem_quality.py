"""How clean separated stems are, told without the true ones: what is lost, and what of each is left in the other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32

from annotation.spectrum.stft import StftConfig, stft
from annotation.spectrum.usable import ANALYSIS_RATE_HZ
from levo.codec.intake import mono_at_rate
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.waveform import Waveform

FLOOR_DB = -100.0
_STFT = StftConfig(1024, 512)
_FRAMES_PER_BLOCK = 64
_BINS_PER_BAND = 4
_FRAME_S = 0.05
_QUIET, _ACTIVE = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class StemQuality:
    """Decibels, lower is better, none below -100.

    `residual_db`: energy of mixture - vocal - accompaniment against the mixture's.
    `vocal_leak_db`: the part of the accompaniment that follows the vocal stem, against the vocal stem's energy. In
    blocks of 2 s and bands of 62 Hz the accompaniment's spectrum is regressed on the vocal's (one complex factor a
    block and band); what a factor explains by chance alone is taken off. Two sounds that are played together but do
    not share a source are not predicted by each other's spectrum, a leak is.
    `accompaniment_leak_db`: the vocal stem's level where it is quietest (its lowest tenth) against where it is loud
    (its highest): what is heard while nobody sings. It says nothing of a song without pauses.
    """

    residual_db: float
    vocal_leak_db: float
    accompaniment_leak_db: float


@dataclass(frozen=True, slots=True)
class StemGate:
    """The worst that stems may be; None asks nothing."""

    max_residual_db: float | None = -20.0
    max_vocal_leak_db: float | None = -10.0
    max_accompaniment_leak_db: float | None = None

    def refusal(self, quality: StemQuality) -> str | None:
        """Why stems are not good enough: the first measure that is too high, its value and its limit."""
        for name in ("residual_db", "vocal_leak_db", "accompaniment_leak_db"):
            value, limit = getattr(quality, name), getattr(self, f"max_{name}")
            if limit is not None and value > limit:
                return f"{name} is {value:.1f}; expected at most {limit:g}"
        return None


def stem_quality(stems: Stems, mixture: Waveform | None = None) -> StemQuality:
    """Measure stems of one rate against `mixture` (their own unless given); raises `ValueError` for other shapes."""
    vocal, rest, whole = stems.vocal.samples, stems.accompaniment.samples, (mixture or stems.mixture).samples
    if not vocal.shape == rest.shape == whole.shape:
        raise ValueError(f"stems of {vocal.shape} and {rest.shape}, a mixture of {whole.shape}; expected equal shapes")
    sung = mono_at_rate(stems.vocal, ANALYSIS_RATE_HZ, "vocal")
    band = mono_at_rate(stems.accompaniment, ANALYSIS_RATE_HZ, "accompaniment")
    spectrum = stft(sung, _STFT)
    return StemQuality(
        residual_db=_db(_energy(whole - vocal - rest), _energy(whole)),
        vocal_leak_db=_db(leaked_energy(spectrum, stft(band, _STFT)), _energy(spectrum)),
        accompaniment_leak_db=_quiet_db(sung),
    )


def leaked_energy(source: Complex64[Array, "frame bin"], other: Complex64[Array, "frame bin"]) -> float:
    """How much of `other` follows `source`: its least-squares projection, block by block, less what chance gives.

    Of N bins a projection on one independent direction keeps a share of 1 / N, which the rest's energy tells.
    """
    kept = 0.0
    for start in range(0, len(source), _FRAMES_PER_BLOCK):
        block = slice(start, start + _FRAMES_PER_BLOCK)
        one, two = _bands(source[block]), _bands(other[block])
        energy = np.sum(np.abs(one) ** 2, axis=1, dtype=np.float64)
        shared = np.abs(np.sum(one.conj() * two, axis=1, dtype=np.complex128)) ** 2
        projected = np.divide(shared, energy, out=np.zeros_like(energy), where=energy > 0)
        left = np.sum(np.abs(two) ** 2, axis=1, dtype=np.float64) - projected
        chance = left / max(one.shape[1] - 1, 1)
        kept += float(np.sum(projected - np.where(energy > 0, chance, 0)))
    return max(kept, 0.0)


def _bands(spectrum: Complex64[Array, "frame bin"]) -> Complex64[Array, "band value"]:
    num_frames, num_bins = spectrum.shape
    num_bands = num_bins // _BINS_PER_BAND
    used = spectrum[:, : num_bands * _BINS_PER_BAND].reshape(num_frames, num_bands, _BINS_PER_BAND)
    return used.transpose(1, 0, 2).reshape(num_bands, -1)


def _quiet_db(samples: Float32[Array, " sample"]) -> float:
    length = round(_FRAME_S * ANALYSIS_RATE_HZ)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    if not len(frames):
        return FLOOR_DB
    energies = np.sort(np.sum(frames.astype(np.float64) ** 2, axis=1))
    quiet = float(np.mean(energies[: max(1, int(_QUIET * len(energies)))]))
    return _db(quiet, float(np.mean(energies[min(int(_ACTIVE * len(energies)), len(energies) - 1) :])))


def _energy(values: Array) -> float:
    return float(np.sum(np.abs(values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)) ** 2))


def _db(energy: float, reference: float) -> float:
    return FLOOR_DB if energy <= 0 or reference <= 0 else max(FLOOR_DB, 10 * float(np.log10(energy / reference)))
