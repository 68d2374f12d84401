"""A spoken word turned into sung notes with the WORLD vocoder: stretched to the beat, then set to a pitch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from levo.song.arrays import Array
from levo.song.timing import TimedPhoneme
from pipelines.rendered.espeak import SpokenWord

HOP_S = 0.005
_VIBRATO_HZ = 5.5
_VIBRATO_CENTS = 25.0
_VIBRATO_AFTER_S = 0.12
_MAX_CONSONANT_SHARE = 0.55
_FADE_IN_S = 0.004
_FADE_OUT_S = 0.012
_VOWEL_STARTS = frozenset("aeiouAEIOUV@30")


@dataclass(frozen=True, slots=True, eq=False)
class Syllable:
    """WORLD's view of a word: a log spectral envelope, an aperiodicity and a voicing flag every `HOP_S`."""

    log_envelope: Float64[Array, "hop bin"]
    aperiodicity: Float64[Array, "hop bin"]
    voiced: Bool[Array, " hop"]
    phonemes: tuple[TimedPhoneme, ...]
    sample_rate_hz: int


def analyse_syllable(word: SpokenWord, sample_rate_hz: int) -> Syllable:
    """Resample a word and analyse it (Morise et al. 2016: DIO, StoneMask, CheapTrick, D4C)."""
    import pyworld
    from scipy.signal import resample_poly

    factor = np.gcd(sample_rate_hz, word.sample_rate_hz)
    spoken = word.samples.astype(np.float64) / 32768
    samples = resample_poly(spoken, sample_rate_hz // factor, word.sample_rate_hz // factor)
    coarse_hz, times_s = pyworld.dio(samples, sample_rate_hz, frame_period=1000 * HOP_S)
    f0_hz = pyworld.stonemask(samples, coarse_hz, times_s, sample_rate_hz)
    envelope = pyworld.cheaptrick(samples, f0_hz, times_s, sample_rate_hz)
    aperiodicity = pyworld.d4c(samples, f0_hz, times_s, sample_rate_hz)
    return Syllable(np.log(envelope), aperiodicity, f0_hz > 0, word.phonemes, sample_rate_hz)


def is_vowel(phoneme: str) -> bool:
    """Whether an espeak-ng mnemonic names a vowel or a diphthong."""
    return phoneme[0] in _VOWEL_STARTS


def stretched_phonemes(phonemes: tuple[TimedPhoneme, ...], duration_s: float) -> tuple[TimedPhoneme, ...]:
    """The phonemes of a note: consonants keep their length, the vowel fills the rest.

    Where consonants would take more than their share of the note they are shortened, all by one factor.
    """
    consonants_s = sum(item.end_s - item.start_s for item in phonemes if not is_vowel(item.phoneme))
    vowels_s = sum(item.end_s - item.start_s for item in phonemes if is_vowel(item.phoneme))
    kept = min(1.0, _MAX_CONSONANT_SHARE * duration_s / consonants_s) if consonants_s else 1.0
    filled = (duration_s - kept * consonants_s) / vowels_s
    stretched: list[TimedPhoneme] = []
    start_s = 0.0
    for item in phonemes:
        factor = filled if is_vowel(item.phoneme) else kept
        end_s = start_s + factor * (item.end_s - item.start_s)
        stretched.append(TimedPhoneme(item.phoneme, start_s, end_s))
        start_s = end_s
    return (*stretched[:-1], TimedPhoneme(stretched[-1].phoneme, stretched[-1].start_s, duration_s))


def stretch_syllable(syllable: Syllable, duration_s: float) -> Syllable:
    """The same word with its vowel stretched so that it lasts `duration_s`."""
    phonemes = stretched_phonemes(syllable.phonemes, duration_s)
    times_s = np.arange(round(duration_s / HOP_S) + 1) * HOP_S
    source_s = np.interp(
        times_s,
        [0.0, *(item.end_s for item in phonemes)],
        [0.0, *(item.end_s for item in syllable.phonemes)],
    )
    position = np.clip(source_s / HOP_S, 0, len(syllable.voiced) - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, len(syllable.voiced) - 1)
    weight = (position - below)[:, None]

    def between(track: Float64[Array, "hop bin"]) -> Float64[Array, "hop bin"]:
        return np.ascontiguousarray((1 - weight) * track[below] + weight * track[above])

    nearest = np.round(position).astype(np.int64)
    return Syllable(
        between(syllable.log_envelope),
        between(syllable.aperiodicity),
        syllable.voiced[nearest],
        phonemes,
        syllable.sample_rate_hz,
    )


def sing_syllable(syllable: Syllable, pitch: int, num_samples: int) -> Float32[Array, " sample"]:
    """One note: the stretched word at a MIDI pitch, with vibrato after its onset, faded at both ends."""
    import pyworld

    times_s = np.arange(len(syllable.voiced)) * HOP_S
    depth = np.clip((times_s - _VIBRATO_AFTER_S) / _VIBRATO_AFTER_S, 0, 1)
    cents = _VIBRATO_CENTS * depth * np.sin(2 * np.pi * _VIBRATO_HZ * (times_s - _VIBRATO_AFTER_S))
    f0_hz = np.where(syllable.voiced, pitch_hz(pitch) * 2 ** (cents / 1200), 0.0)
    samples = pyworld.synthesize(
        f0_hz, np.exp(syllable.log_envelope), syllable.aperiodicity, syllable.sample_rate_hz, 1000 * HOP_S
    )
    note = np.zeros(num_samples)
    note[: len(samples)] = samples[:num_samples]
    return (note * _fades(num_samples, syllable.sample_rate_hz)).astype(np.float32)


def pitch_hz(pitch: int) -> float:
    """A MIDI pitch in Hz; A4 = 69 = 440 Hz."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def _fades(num_samples: int, sample_rate_hz: int) -> Float64[Array, " sample"]:
    gain = np.ones(num_samples)
    rising = np.linspace(0, 1, round(_FADE_IN_S * sample_rate_hz))
    falling = np.linspace(1, 0, round(_FADE_OUT_S * sample_rate_hz))
    gain[: len(rising)] = rising
    gain[num_samples - len(falling) :] *= falling
    return gain
