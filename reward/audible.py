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


def audible(song: Waveform, minimum_duration_s: float) -> Audible:
    """Bring a song to the judges' rate and loudness; too short, silent and non-finite songs are missing with reason."""
    if song.samples.size == 0 or song.duration_s < minimum_duration_s:
        return _missing(f"too short: {song.duration_s:.2f} s of {minimum_duration_s:g} s")
    mono = song.mono
    if not np.isfinite(mono).all():
        return _missing("samples are not finite")
    if song.sample_rate_hz != JUDGING_RATE_HZ:
        mono = soxr.resample(mono, song.sample_rate_hz, JUDGING_RATE_HZ)
    rms = float(np.sqrt(np.mean(np.square(mono, dtype=np.float64))))
    if rms < SILENCE_RMS:
        return _missing("silent")
    return Audible(mono * np.float32(_JUDGED_RMS / rms))


def _missing(reason: str) -> Audible:
    return Audible(np.zeros(0, dtype=np.float32), reason)
