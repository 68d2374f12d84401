"""What can be heard of each attribute that a tag names: a few numbers by formula, from the stems of a song."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from levo.codec.stems import Stems
from levo.song.arrays import Array
from reward.judges.sound import (
    STEP_S,
    BeatGrid,
    Peaks,
    find_beat,
    magnitudes,
    onset_strength,
    scale_of,
    spectral_peaks,
    voice_pitch,
)

_SHORTEST_BEAT_S, _LONGEST_BEAT_S = 0.28, 0.54
_BAND_EDGES_HZ = (200, 400, 800, 1600, 3200, 6400)
_WINDOW_S = 0.032
_TREMOLO_HZ = (5.5, 7.5)
_CYMBALS_HZ = 4_000
_LEAST_VOICED_FRAMES = 10
_EPSILON = 1e-6

Numbers = Float64[Array, " number"]


@dataclass(frozen=True, slots=True, eq=False)
class HeardStems:
    """A song's stems as the formulas take them; `spectra` are the accompaniment's, every 10 ms."""

    sample_rate_hz: int
    voice_pitch: Float64[Array, " frame"]
    spectra: Float64[Array, "frame bin"]
    peaks: Peaks
    beat: BeatGrid

    def band(self, low_hz: float, high_hz: float) -> Float64[Array, " frame"]:
        """The accompaniment's amplitude between two frequencies, over time."""
        hz_per_bin = self.sample_rate_hz / (2 * (self.spectra.shape[1] - 1))
        low, high = round(low_hz / hz_per_bin), round(high_hz / hz_per_bin)
        amplitude: Float64[Array, " frame"] = np.sqrt(np.square(self.spectra[:, low:high]).sum(axis=1))
        return amplitude


def hear(stems: Stems) -> HeardStems:
    """Analyse the stems once, for all attributes."""
    rate_hz = stems.mixture.sample_rate_hz
    accompaniment = stems.accompaniment.mono.astype(np.float64)
    beat = find_beat(onset_strength(stems.mixture.mono.astype(np.float64), rate_hz), _SHORTEST_BEAT_S, _LONGEST_BEAT_S)
    return HeardStems(
        rate_hz,
        voice_pitch(stems.vocal.mono.astype(np.float64), rate_hz),
        magnitudes(accompaniment, rate_hz, _WINDOW_S, STEP_S),
        spectral_peaks(accompaniment, rate_hz, lowest_hz=110, highest_hz=1_500),
        beat,
    )


def voice_numbers(heard: HeardStems) -> Numbers | None:
    """The median sung pitch; none where hardly anything is sung."""
    voiced = heard.voice_pitch[np.isfinite(heard.voice_pitch)]
    return np.array([np.median(voiced)]) if len(voiced) >= _LEAST_VOICED_FRAMES else None


def tempo_numbers(heard: HeardStems) -> Numbers | None:
    """The beat's length, as a logarithm."""
    return np.array([np.log2(heard.beat.period_s)])


def drums_numbers(heard: HeardStems) -> Numbers | None:
    """How loud the top of the spectrum is at its loudest moments, and how fast it rises, against the whole level."""
    top = heard.band(_CYMBALS_HZ, heard.sample_rate_hz / 2)
    level = heard.band(0, heard.sample_rate_hz / 2).mean() + _EPSILON
    rise = np.maximum(np.diff(top), 0.0)
    numbers: Numbers = np.log(np.array([np.percentile(top, 95), np.percentile(rise, 97)]) / level + 0.02)
    return numbers


def instrument_numbers(heard: HeardStems) -> Numbers | None:
    """Level and fluctuation of five bands, the beat's and half-beat's share in their envelope, and its tremolo."""
    bands = [heard.band(low, high) for low, high in pairwise(_BAND_EDGES_HZ)]
    whole = heard.band(_BAND_EDGES_HZ[0], _BAND_EDGES_HZ[3])
    level = whole.mean() + _EPSILON
    quiet, loud = np.percentile(np.array(bands) / level, [25, 75], axis=1)
    envelope = whole / level - 1
    times_s = np.arange(len(envelope)) * STEP_S
    rates_hz = np.array([1.0, 2.0]) / heard.beat.period_s
    rhythm = np.abs(np.exp(-2j * np.pi * rates_hz[:, None] * times_s) @ envelope) / len(envelope)
    modulation = np.abs(np.fft.rfft(envelope)) / len(envelope)
    modulation_hz = np.fft.rfftfreq(len(envelope), STEP_S)
    tremolo = modulation[(modulation_hz > _TREMOLO_HZ[0]) & (modulation_hz < _TREMOLO_HZ[1])]
    return np.concatenate(
        [np.log(quiet + 1e-3), np.log(loud + 1e-3), np.log(rhythm + 1e-2), [np.log(tremolo.max(initial=0.0) + 1e-2)]]
    )


def mood_numbers(heard: HeardStems) -> Numbers | None:
    """How much of the chords lies low, and whether the scale's major or its relative minor triad is the louder one."""
    if not len(heard.peaks.pitches):
        return None
    total = heard.peaks.amplitudes.sum()
    low = heard.peaks.amplitudes[heard.peaks.pitches < 58.5].sum() / total
    first = scale_of(heard.peaks).first_pitch_class
    classes = np.round(heard.peaks.pitches).astype(int) % 12
    fifth = heard.peaks.amplitudes[classes == (first + 7) % 12].sum() / total
    sixth = heard.peaks.amplitudes[classes == (first + 9) % 12].sum() / total
    return np.array([low, fifth - sixth])


ATTRIBUTE_NUMBERS: dict[str, Callable[[HeardStems], Numbers | None]] = {
    "voice": voice_numbers,
    "tempo": tempo_numbers,
    "instrument": instrument_numbers,
    "mood": mood_numbers,
    "drums": drums_numbers,
}
"""The attributes that this judge can check."""
