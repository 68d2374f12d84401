"""Glitches do what they say to their own beats, and nothing to the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.rendered.glitch import Glitch, GlitchKind, apply_glitches, draw_glitches, spoil_beat

_BEAT_SAMPLES = 6400


@given(seed=st.integers(0, 2**32), num_beats=st.integers(3, 90))
def test_glitches_hit_two_beats_in_five_and_leave_the_others_to_the_bit(seed: int, num_beats: int) -> None:
    rng = np.random.default_rng(seed)
    glitches = draw_glitches(rng, num_beats)
    hit = {glitch.beat for glitch in glitches}
    assert len(hit) == len(glitches) == max(3, round(0.4 * num_beats))
    clean = rng.standard_normal(num_beats * 640).astype(np.float32)
    changed = (apply_glitches(clean, glitches, 640) != clean).reshape(num_beats, 640).any(axis=1)
    assert set(np.flatnonzero(changed)) == hit


def test_a_dropout_is_silent_after_a_short_fade() -> None:
    beat = np.ones(_BEAT_SAMPLES, np.float32)
    spoilt = spoil_beat(beat, Glitch(GlitchKind.DROPOUT, 0))
    assert spoilt[0] == 1
    assert not spoilt[48:].any()


def test_a_stutter_repeats_the_beats_start() -> None:
    beat = np.arange(_BEAT_SAMPLES, dtype=np.float32)
    spoilt = spoil_beat(beat, Glitch(GlitchKind.STUTTER, 0, 4))
    np.testing.assert_array_equal(spoilt.reshape(4, 1600), np.tile(beat[:1600], (4, 1)))


def test_a_detuning_moves_the_pitch_by_its_semitones() -> None:
    times_s = np.arange(_BEAT_SAMPLES) / 16000
    beat = np.sin(2 * np.pi * 440 * times_s).astype(np.float32)
    for semitones in (-1.0, 0.5):
        spoilt = spoil_beat(beat, Glitch(GlitchKind.DETUNED, 0, semitones))
        peak_hz = np.abs(np.fft.rfft(spoilt * np.hanning(len(spoilt)), 16000)).argmax()
        assert peak_hz == pytest.approx(440 * 2 ** (semitones / 12), abs=2)


def test_a_slip_comes_late_by_its_share_of_the_beat() -> None:
    beat = np.zeros(_BEAT_SAMPLES, np.float32)
    beat[0] = 1
    assert spoil_beat(beat, Glitch(GlitchKind.SLIPPED, 0, 0.25)).argmax() == _BEAT_SAMPLES // 4


def test_a_glitch_past_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="beat 2 of 2"):
        apply_glitches(np.zeros(1280, np.float32), (Glitch(GlitchKind.DROPOUT, 2),), 640)
