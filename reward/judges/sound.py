"""What the held-out judges measure on raw audio, in plain numpy: onsets, the beat, pitch, and spectral peaks.

Nothing here is shared with the trained judges or with the labels of a corpus, so that their agreement means something.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex128, Float64
from numpy.lib.stride_tricks import sliding_window_view

from levo.song.arrays import Array

STEP_S = 0.01
_ONSET_WINDOW_S = 0.032
_PITCH_WINDOW_S = 0.064
_PITCH_STEP_S = 0.02
_LOWEST_VOICE_HZ, _HIGHEST_VOICE_HZ = 75.0, 500.0
_VOICED = 0.5
_MAJOR_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
_QUIET = 0.05
_PEAK_RANGE_NEPERS = 2.0
_NUM_BEAT_LENGTHS = 400
_WAVE_BLOCK_FRAMES = 1000


@dataclass(frozen=True, slots=True)
class BeatGrid:
    """Evenly spaced beats: `period_s` apart, one at `phase_s`."""

    period_s: float
    phase_s: float

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute."""
        return 60.0 / self.period_s


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Spectral peaks of a whole song: MIDI pitch (fractional) and amplitude."""

    pitches: Float64[Array, " peak"]
    amplitudes: Float64[Array, " peak"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The seven tones of the major key on a pitch class, or of its relative minor."""

    first_pitch_class: int

    def distance(self, pitches: Float64[Array, " tone"]) -> Float64[Array, " tone"]:
        """Semitones from each MIDI pitch to the nearest tone of the scale."""
        away = (pitches[:, None] - self.first_pitch_class - _MAJOR_SCALE + 6) % 12 - 6
        nearest: Float64[Array, " tone"] = np.abs(away).min(axis=1)
        return nearest


def magnitudes(
    samples: Float64[Array, " sample"], sample_rate_hz: int, window_s: float, step_s: float
) -> Float64[Array, "frame bin"]:
    """Hann-windowed magnitude spectra; frame n is centred on n x step."""
    length = round(window_s * sample_rate_hz)
    padded = np.pad(samples, (length // 2, length))
    frames = sliding_window_view(padded, length)[:: round(step_s * sample_rate_hz)]
    num_frames = len(samples) // round(step_s * sample_rate_hz) + 1
    window = np.hanning(length)
    spectra: Float64[Array, "frame bin"] = np.abs(np.fft.rfft(frames[:num_frames] * window)) / window.sum()
    return spectra


def onset_strength(samples: Float64[Array, " sample"], sample_rate_hz: int) -> Float64[Array, " frame"]:
    """Rise of the square-rooted spectrum from frame to frame, every 10 ms; 0 where nothing grows louder."""
    spectra = np.sqrt(magnitudes(samples, sample_rate_hz, _ONSET_WINDOW_S, STEP_S))
    rise = np.maximum(np.diff(spectra, axis=0, prepend=spectra[:1]), 0.0).sum(axis=1)
    strength: Float64[Array, " frame"] = np.maximum(rise - np.median(rise), 0.0)
    # Where the song is cut off, half a window of it sounds like a broad-band onset.
    strength[-round(_ONSET_WINDOW_S / 2 / STEP_S + 1) :] = 0.0
    return strength


def find_beat(strength: Float64[Array, " frame"], shortest_s: float, longest_s: float) -> BeatGrid:
    """The evenly spaced grid on which most onset strength lies: the strongest line of its Fourier transform.

    Half-beats count too, by the second harmonic, so that a song of eighth notes is not taken for one at another tempo.
    """
    whole_blocks = -(-len(strength) // _WAVE_BLOCK_FRAMES) * _WAVE_BLOCK_FRAMES
    frequencies_hz = _beat_frequencies(shortest_s, longest_s)
    first, second = (
        _waves(shortest_s, longest_s, harmonic, whole_blocks)[:, : len(strength)] @ strength for harmonic in (1, 2)
    )
    best = int((np.abs(first) + 0.5 * np.abs(second)).argmax())
    period_s = float(1 / frequencies_hz[best])
    phase_s = float(-np.angle(first[best]) / (2 * np.pi) * period_s) % period_s
    return BeatGrid(period_s, phase_s)


def _beat_frequencies(shortest_s: float, longest_s: float) -> Float64[Array, " frequency"]:
    return 1 / np.linspace(longest_s, shortest_s, _NUM_BEAT_LENGTHS)


@lru_cache(maxsize=8)
def _waves(shortest_s: float, longest_s: float, harmonic: int, num_frames: int) -> Complex128[Array, "frequency frame"]:
    """The transform's waves, kept: making them takes much longer than using them."""
    frequencies_hz = harmonic * _beat_frequencies(shortest_s, longest_s)
    waves: Complex128[Array, "frequency frame"] = np.exp(
        -2j * np.pi * frequencies_hz[:, None] * (np.arange(num_frames) * STEP_S)
    )
    return waves


def voice_pitch(samples: Float64[Array, " sample"], sample_rate_hz: int) -> Float64[Array, " frame"]:
    """MIDI pitch every 20 ms by normalised autocorrelation; NaN where quiet or unvoiced."""
    length = round(_PITCH_WINDOW_S * sample_rate_hz)
    frames = sliding_window_view(np.pad(samples, (length // 2, length)), length)
    frames = frames[:: round(_PITCH_STEP_S * sample_rate_hz)]
    centred = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(length)
    power = np.abs(np.fft.rfft(centred, n=2 * length)) ** 2
    correlation = np.fft.irfft(power)[:, :length]
    window_power = np.abs(np.fft.rfft(np.hanning(length), n=2 * length)) ** 2
    window_correlation = np.fft.irfft(window_power)[:length]
    lags = np.arange(round(sample_rate_hz / _HIGHEST_VOICE_HZ), round(sample_rate_hz / _LOWEST_VOICE_HZ))
    relative = correlation[:, lags] / (correlation[:, :1] + 1e-12) / (window_correlation[lags] / window_correlation[0])
    # The shortest lag nearly as good as the best: longer ones are octaves below.
    good = relative >= 0.9 * relative.max(axis=1, keepdims=True)
    chosen = _climb(relative, good.argmax(axis=1))
    level = np.sqrt(correlation[:, 0])
    voiced = (relative.max(axis=1) > _VOICED) & (level > _QUIET * level.max(initial=0.0))
    frequency_hz = sample_rate_hz / (lags[0] + chosen)
    return np.where(voiced, 69 + 12 * np.log2(frequency_hz / 440), np.nan)


def spectral_peaks(
    samples: Float64[Array, " sample"], sample_rate_hz: int, lowest_hz: float, highest_hz: float
) -> Peaks:
    """Local maxima within 17 dB of their frame's and 35 dB of the song's largest; 256 ms windows every 80 ms."""
    spectra = np.log(magnitudes(samples, sample_rate_hz, 0.256, 0.08) + 1e-9)
    hz_per_bin = sample_rate_hz / (2 * (spectra.shape[1] - 1))
    low, high = int(lowest_hz / hz_per_bin), int(highest_hz / hz_per_bin)
    centre, left, right = (spectra[:, low + shift : high + shift] for shift in (0, -1, 1))
    largest = centre.max(axis=1, keepdims=True)
    is_peak = (
        (centre > left)
        & (centre >= right)
        & (centre > largest - _PEAK_RANGE_NEPERS)
        & (centre > spectra.max() - 2 * _PEAK_RANGE_NEPERS)
    )
    curvature = np.where(is_peak, left - 2 * centre + right, -1.0)
    offset = np.where(is_peak, 0.5 * (left - right) / curvature, 0.0)
    frequency_hz = (np.arange(low, high) + offset) * hz_per_bin
    return Peaks(69 + 12 * np.log2(frequency_hz[is_peak] / 440), np.exp(centre[is_peak]))


def scale_of(peaks: Peaks) -> Scale:
    """The major scale (or relative minor) that holds most of the peaks which lie near a semitone; C without peaks."""
    near = np.abs((peaks.pitches + 0.5) % 1 - 0.5) < 0.3
    classes = np.zeros(12)
    np.add.at(classes, np.round(peaks.pitches[near]).astype(int) % 12, peaks.amplitudes[near])
    return Scale(max(range(12), key=lambda first: float(classes[(_MAJOR_SCALE + first) % 12].sum())))


def _climb(relative: Float64[Array, "frame lag"], start: Array) -> Float64[Array, " frame"]:
    """From the first good lag up to the local maximum, then a parabola through it."""
    rows = np.arange(len(relative))
    place = start
    for _ in range(20):
        following = np.minimum(place + 1, relative.shape[1] - 1)
        place = np.where(relative[rows, following] > relative[rows, place], following, place)
    inner = np.clip(place, 1, relative.shape[1] - 2)
    left, centre, right = (relative[rows, inner + shift] for shift in (-1, 0, 1))
    curvature = left - 2 * centre + right
    offset = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-9), 0.0)
    summit: Float64[Array, " frame"] = inner + np.clip(offset, -0.5, 0.5)
    return summit
