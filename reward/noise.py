"""A scorer's own noise: how far its score of one song moves under changes that do not matter.

The caller adds what this file cannot make, such as the same tokens decoded with another phase seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from levo.song.scores import Score
from levo.song.waveform import Waveform

BatchScorer = Callable[[Sequence[Waveform]], Sequence[Score]]


@dataclass(frozen=True, slots=True)
class ScorerNoise:
    """Pooled standard deviation, within songs, of one metric's scores, in the metric's unit."""

    metric: str
    scorer_digest: str
    standard_deviation: float
    num_songs: int
    num_versions: int


@dataclass(frozen=True, slots=True)
class Nuisance:
    """One change that leaves the song what it was: level, a shift in time (silence goes before it), and hiss."""

    gain_db: float = 0.0
    shift_s: float = 0.0
    hiss_db: float | None = None

    def apply(self, song: Waveform, seed: int) -> Waveform:
        """The changed song; `hiss_db` is white noise relative to the song's own level."""
        samples = song.samples * np.float32(10 ** (self.gain_db / 20))
        if self.hiss_db is not None:
            level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) * 10 ** (self.hiss_db / 20)
            hiss = np.random.default_rng(seed).standard_normal(samples.shape, dtype=np.float32)
            samples = samples + np.float32(level) * hiss
        num_before = round(self.shift_s * song.sample_rate_hz)
        return Waveform(np.pad(samples, ((0, 0), (num_before, 0))), song.sample_rate_hz)


NUISANCES = (Nuisance(), Nuisance(gain_db=-3.0), Nuisance(shift_s=0.04), Nuisance(hiss_db=-45.0), Nuisance(gain_db=2.0))


def measure_noise(
    metric: str,
    scorer_digest: str,
    score: BatchScorer,
    versions: Sequence[Sequence[Waveform]],
) -> ScorerNoise:
    """Score every version of every song; a version is all songs, in one order, each changed in the same way.

    Songs with fewer than two scores are left out. Raises `ValueError` where none is left or versions differ in length.
    """
    num_songs = len(versions[0]) if versions else 0
    if any(len(version) != num_songs for version in versions):
        raise ValueError(f"versions hold {[len(version) for version in versions]} songs; expected the same of each")
    rows = [score(version) for version in versions]
    return noise_of_scores(metric, scorer_digest, rows)


def noise_of_scores(metric: str, scorer_digest: str, versions: Sequence[Sequence[Score]]) -> ScorerNoise:
    """The noise of scores that are already there: one row a version, one column a song."""
    variances: list[float] = []
    degrees: list[int] = []
    for song in zip(*versions, strict=True):
        values = [score.value for score in song if score.value is not None]
        if len(values) >= 2:
            variances.append(float(np.var(values, ddof=1)))
            degrees.append(len(values) - 1)
    if not degrees:
        raise ValueError(f"metric {metric}: no song has two scores among {len(versions)} versions")
    pooled = float(np.average(variances, weights=degrees))
    return ScorerNoise(metric, scorer_digest, pooled**0.5, len(degrees), len(versions))


def nuisance_versions(
    songs: Sequence[Waveform], seed: int, nuisances: Sequence[Nuisance] = NUISANCES
) -> list[list[Waveform]]:
    """All songs under each nuisance, ready for `measure_noise`."""
    return [[nuisance.apply(song, seed + index) for index, song in enumerate(songs)] for nuisance in nuisances]
