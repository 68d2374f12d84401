"""A song's sound as the judges take it: one channel at their rate, or the reason why it cannot be judged."""

from dataclasses import dataclass

import numpy as np
import soxr
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.scores import Score, missing_score
from levo.song.waveform import Waveform

JUDGING_RATE_HZ = 16_000
SILENCE_RMS = 1e-4
_JUDGED_RMS = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Audible:
    """Samples at `JUDGING_RATE_HZ` and one loudness, or `missing`, why there are none."""

    samples: Float32[Array, " sample"]
    missing: str | None = None

    @property
    def score(self) -> Score:
        """The missing score of a song that cannot be judged; `ValueError` for one that can."""
        if self.missing is None:
            raise ValueError(f"{len(self.samples)} samples can be judged; they have no missing score")
        return missing_score(self.missing)


def why_unheard(song: Waveform, minimum_duration_s: float) -> str | None:
    """Why a song cannot be heard as it is: too short, not finite, silent; None where it can."""
    reason = _why_unusable(song, minimum_duration_s)
    return reason or ("silent" if _rms(song.mono) < SILENCE_RMS else None)


def audible(song: Waveform, minimum_duration_s: float) -> Audible:
    """Bring a song to the judges' rate and loudness; too short, silent and non-finite songs are missing with reason."""
    reason = _why_unusable(song, minimum_duration_s)
    if reason is not None:
        return _missing(reason)
    mono = song.mono
    if song.sample_rate_hz != JUDGING_RATE_HZ:
        mono = soxr.resample(mono, song.sample_rate_hz, JUDGING_RATE_HZ)
    rms = _rms(mono)
    if rms < SILENCE_RMS:
        return _missing("silent")
    return Audible(mono * np.float32(_JUDGED_RMS / rms))


def _why_unusable(song: Waveform, minimum_duration_s: float) -> str | None:
    if song.samples.size == 0 or song.duration_s < minimum_duration_s:
        return f"too short: {song.duration_s:.2f} s of {minimum_duration_s:g} s"
    return None if np.isfinite(song.mono).all() else "samples are not finite"


def _rms(samples: Float32[Array, " sample"]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _missing(reason: str) -> Audible:
    return Audible(np.zeros(0, dtype=np.float32), reason)
