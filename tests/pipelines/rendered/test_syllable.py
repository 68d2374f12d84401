"""A sung syllable keeps its consonants, fills its beat and has the pitch it was given."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float64

from levo.song.arrays import Array
from levo.song.timing import TimedPhoneme
from pipelines.rendered.espeak import speak
from pipelines.rendered.syllable import (
    HOP_S,
    analyse_syllable,
    is_vowel,
    pitch_hz,
    stretch_syllable,
    stretched_phonemes,
)
from pipelines.rendered.voice import Voice

_RATE_HZ = 16000


def _autocorrelation_f0_hz(samples: Float64[Array, " sample"], near_hz: float) -> float:
    """The strongest period within an octave of a guess, by autocorrelation with a parabola through its peak."""
    num_samples = len(samples)
    spectrum = np.fft.rfft(samples * np.hanning(num_samples), 8 * num_samples)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:num_samples]
    shortest, longest = int(_RATE_HZ / near_hz / 1.8), int(_RATE_HZ / near_hz * 1.8)
    peak = shortest + int(np.argmax(correlation[shortest:longest]))
    before, at, after = correlation[peak - 1 : peak + 2]
    return float(_RATE_HZ / (peak + 0.5 * (before - after) / (before - 2 * at + after)))


def test_every_note_of_every_singer_is_within_a_fifth_of_a_semitone_of_its_pitch(voice: Voice) -> None:
    cents: list[float] = []
    for singer in voice.config.singers:
        for word in voice.config.words:
            for frames in voice.notes:
                longest = max(voice.timings[singer.name, word, frames], key=lambda item: item.end_s - item.start_s)
                span = slice(round(longest.start_s * _RATE_HZ), round(longest.end_s * _RATE_HZ))
                for pitch in singer.pitches[::4]:
                    note = voice.note(singer.name, word, frames, pitch).astype(np.float64)
                    wanted_hz = pitch_hz(pitch)
                    cents.append(1200 * np.log2(_autocorrelation_f0_hz(note[span], wanted_hz) / wanted_hz))
    assert np.max(np.abs(cents)) < 20
    assert np.median(np.abs(cents)) < 6


@pytest.mark.slow
def test_librosas_pyin_hears_the_planned_pitch_too(voice: Voice) -> None:
    librosa = pytest.importorskip("librosa")
    note = voice.note("high", "rain", 12, 60).astype(np.float32) / 32768
    f0_hz, voiced, _ = librosa.pyin(note, fmin=100, fmax=600, sr=_RATE_HZ, frame_length=1024)
    assert 1200 * abs(np.log2(np.median(f0_hz[voiced]) / pitch_hz(60))) < 20


@given(duration_s=st.floats(0.25, 1.0), lengths_s=st.tuples(*[st.floats(0.02, 0.3)] * 3))
def test_stretched_phonemes_tile_the_note_and_keep_their_consonants(
    duration_s: float, lengths_s: tuple[float, float, float]
) -> None:
    edges_s = [0.0, *np.cumsum(lengths_s).tolist()]
    spoken = tuple(
        TimedPhoneme(name, start_s, end_s)
        for name, start_s, end_s in zip(("r", "eI", "n"), edges_s, edges_s[1:], strict=False)
    )
    sung = stretched_phonemes(spoken, duration_s)
    assert sung[0].start_s == 0
    assert sung[-1].end_s == duration_s
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(sung))
    consonants = [i for i in range(3) if not is_vowel(spoken[i].phoneme)]
    assert consonants == [0, 2]
    kept = [(sung[i].end_s - sung[i].start_s) / lengths_s[i] for i in consonants]
    assert kept[0] == pytest.approx(kept[1])
    room = 0.55 * duration_s >= lengths_s[0] + lengths_s[2]
    assert kept[0] == pytest.approx(1.0) if room else kept[0] < 1.0


def test_a_note_as_long_as_the_word_is_the_word() -> None:
    syllable = analyse_syllable(speak("star", "en-us+f2"), _RATE_HZ)
    length_s = syllable.phonemes[-1].end_s
    same = stretch_syllable(syllable, length_s)
    num_hops = round(length_s / HOP_S)
    np.testing.assert_allclose(same.log_envelope[:num_hops], syllable.log_envelope[:num_hops], atol=1e-6)


def test_pitches_follow_equal_temperament_from_a4() -> None:
    assert pitch_hz(69) == 440
    assert pitch_hz(57) == pytest.approx(220)
    assert pitch_hz(60) == pytest.approx(261.6256, abs=1e-4)
