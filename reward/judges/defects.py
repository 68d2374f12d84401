"""The held-out judge of musicality: onsets off the beat, notes out of key, and glitches, measured by formula.

Each part is expressed in standard deviations of clean songs above their mean; their mean is the number of defects. All
parts listen to the accompaniment: a small codec's sung pitch is too coarse to tell a singer's error from its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from levo.codec.stems import Stems
from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.arrays import Array
from levo.song.scores import Metric, Score
from reward.audible import audible
from reward.judges.sound import (
    STEP_S,
    find_beat,
    onset_strength,
    scale_of,
    spectral_peaks,
)

DEFECTS_METRIC = Metric("musical_defects", "lower", "standard deviations of clean songs", "held_out")
SHORTEST_SONG_S = 2.0
PART_NAMES = ("beat_deviation", "out_of_key", "glitches")
_KIND = "musical defects"
_SHORTEST_BEAT_S, _LONGEST_BEAT_S = 0.28, 0.54
_ON_BEAT_S = 0.04
_IN_KEY_SEMITONES = 0.35
_DROPOUT_LEVEL = 0.1
_SHORTEST_DROPOUT_STEPS = 5
_LEAST_SPREAD = (0.05, 0.03, 10.0)
_CLIP = 6.0
_LEVEL = 0.1
_CLEAR_ONSET, _LEAST_ONSET = 0.5, 0.45
_FASTEST_STUTTER_S, _SLOWEST_STUTTER_BEATS, _EVEN_S = 0.05, 0.36, 0.02


@dataclass(frozen=True, slots=True)
class DefectParts:
    """Share of onset strength off the half-beat grid, share of played tones out of key, and glitches a minute."""

    beat_deviation: float
    out_of_key: float
    glitches_per_minute: float


@dataclass(frozen=True, slots=True)
class MusicalDefects:
    """One song's defects: the number, or why there is none, and the parts that it is made of."""

    score: Score
    parts: DefectParts | None


@dataclass(frozen=True, slots=True, eq=False)
class DefectsJudge:
    """Means and standard deviations of the parts on clean songs."""

    means: Float64[Array, " part"]
    deviations: Float64[Array, " part"]

    @property
    def digest(self) -> str:
        """SHA-256 over the calibration."""
        return self._stored().digest

    def judge(self, songs: Sequence[Stems]) -> list[MusicalDefects]:
        """The defects of each song; fewer is better, and clean songs have 0 on average."""
        return [self._judge(song) for song in songs]

    def save(self, folder: Path) -> None:
        """Write the judge as a folder."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path) -> "DefectsJudge":
        """Read what `save` wrote."""
        stored = load_stored(folder, _KIND)
        return cls(stored.arrays["means"], stored.arrays["deviations"])

    def _stored(self) -> StoredModel:
        return StoredModel(_KIND, {"parts": PART_NAMES}, {"means": self.means, "deviations": self.deviations})

    def _judge(self, song: Stems) -> MusicalDefects:
        heard = [audible(song.mixture, SHORTEST_SONG_S), audible(song.accompaniment, SHORTEST_SONG_S)]
        for stem in heard:
            if stem.missing is not None:
                return MusicalDefects(stem.score, None)
        parts = defect_parts(song)
        standard = (_row(parts) - self.means) / self.deviations
        return MusicalDefects(Score(float(np.clip(standard, -_CLIP, _CLIP).mean())), parts)


def calibrate_defects(clean: Sequence[Stems]) -> DefectsJudge:
    """Measure the parts on clean songs, decoded as the judged songs will be. `ValueError` for fewer than two."""
    if len(clean) < 2:
        raise ValueError(f"{len(clean)} clean songs; a standard deviation needs 2 or more")
    rows = np.stack([_row(defect_parts(song)) for song in clean])
    return DefectsJudge(rows.mean(axis=0), np.maximum(rows.std(axis=0, ddof=1), _LEAST_SPREAD))


def defect_parts(song: Stems) -> DefectParts:
    """All parts of one song that can be heard; both stems have its mixture's rate and length."""
    rate_hz = song.mixture.sample_rate_hz
    gain = _LEVEL / float(np.sqrt(np.square(song.mixture.mono, dtype=np.float64).mean()))
    accompaniment = gain * song.accompaniment.mono.astype(np.float64)
    onsets = onset_strength(accompaniment, rate_hz)
    period_s = find_beat(onsets, _SHORTEST_BEAT_S, _LONGEST_BEAT_S).period_s
    num_glitches = count_dropouts(accompaniment, rate_hz) + count_stutters(onsets, period_s)
    return DefectParts(
        beat_deviation(onsets, period_s),
        out_of_key(accompaniment, rate_hz),
        60 * num_glitches / song.mixture.duration_s,
    )


def beat_deviation(onsets: Float64[Array, " frame"], period_s: float) -> float:
    """Share of squared onset strength (a value every 10 ms) over 40 ms from the half-beats that fit it best."""
    power = np.square(onsets)
    total = power.sum()
    if total <= 0:
        return 0.0
    half_s = period_s / 2
    times_s = np.arange(len(onsets)) * STEP_S
    pull = np.exp(-2j * np.pi * times_s / half_s) @ power
    phase_s = -np.angle(pull) / (2 * np.pi) * half_s
    away_s = np.abs((times_s - phase_s + half_s / 2) % half_s - half_s / 2)
    return float(power[away_s > _ON_BEAT_S].sum() / total)


def out_of_key(accompaniment: Float64[Array, " sample"], sample_rate_hz: int) -> float:
    """Share of the tones' amplitude that lies away from the scale that fits best; 0 without tones."""
    peaks = spectral_peaks(accompaniment, sample_rate_hz, lowest_hz=130, highest_hz=1_500)
    away = scale_of(peaks).distance(peaks.pitches) > _IN_KEY_SEMITONES
    return float(peaks.amplitudes[away].sum() / max(1e-12, peaks.amplitudes.sum()))


def count_dropouts(samples: Float64[Array, " sample"], sample_rate_hz: int) -> int:
    """Stretches of 100 ms or more at under a tenth of the level around them (the median of one second), ends aside."""
    length = round(0.02 * sample_rate_hz)
    steps = samples[: len(samples) // length * length].reshape(-1, length)
    level = np.sqrt(np.square(steps).mean(axis=1))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(level, 25, mode="edge"), 51)
    quiet = level < _DROPOUT_LEVEL * np.median(around, axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    return int(np.sum((ends - starts >= _SHORTEST_DROPOUT_STEPS) & (starts > 0) & (ends < len(quiet))))


def count_stutters(onsets: Float64[Array, " frame"], period_s: float) -> int:
    """Runs of three or more clear onsets (at a level of 0.1), evenly spaced by 50 ms to about a third of a beat."""
    clear = max(_CLEAR_ONSET * float(np.percentile(onsets, 98)), _LEAST_ONSET)
    inner = onsets[1:-1]
    places = np.flatnonzero((inner > onsets[:-2]) & (inner >= onsets[2:]) & (inner > clear))
    gaps_s = np.diff(places) * STEP_S
    is_fast = (gaps_s > _FASTEST_STUTTER_S - STEP_S / 2) & (gaps_s <= _SLOWEST_STUTTER_BEATS * period_s)
    is_even = is_fast[1:] & is_fast[:-1] & (np.abs(np.diff(gaps_s)) < _EVEN_S + STEP_S / 2)
    return int(is_even[:1].sum() + np.sum(is_even[1:] & ~is_even[:-1]))


def _row(parts: DefectParts) -> Float64[Array, " part"]:
    return np.array([parts.beat_deviation, parts.out_of_key, parts.glitches_per_minute])
