import numpy as np
import pytest

from levo.song.arrays import Array
from reward.judges.sound import STEP_S, Peaks, Scale, find_beat, onset_strength, scale_of, spectral_peaks, voice_pitch

RATE_HZ = 16_000


def tone(pitch: float, duration_s: float, num_partials: int = 1) -> Array:
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return np.asarray(sum(np.sin(2 * np.pi * number * hz * times_s) / number for number in range(1, num_partials + 1)))


@pytest.mark.parametrize("period_s", [0.32, 0.40, 0.48])
@pytest.mark.parametrize("phase_s", [0.0, 0.1, 0.25])
def test_the_beat_of_evenly_struck_notes_is_found(period_s: float, phase_s: float) -> None:
    sound = np.zeros(6 * RATE_HZ)
    for start_s in np.arange(phase_s, 5.5, period_s):
        start = round(start_s * RATE_HZ)
        sound[start : start + 3_000] += tone(60, 3_000 / RATE_HZ, 4) * np.exp(-np.arange(3_000) / 800)
    grid = find_beat(onset_strength(sound, RATE_HZ), 0.28, 0.54)
    assert grid.period_s == pytest.approx(period_s, rel=0.01)
    away_s = abs((grid.phase_s - phase_s + period_s / 2) % period_s - period_s / 2)
    assert away_s < 0.03
    assert grid.tempo_bpm == pytest.approx(60 / period_s, rel=0.01)


def test_onsets_are_where_notes_start_and_nowhere_else() -> None:
    sound = np.concatenate([np.zeros(8_000), tone(60, 1.0)])
    strength = onset_strength(sound, RATE_HZ)
    assert abs(int(strength.argmax()) * STEP_S - 0.5) <= 0.02
    assert strength[60:140].max() < 0.05 * strength.max()


@pytest.mark.parametrize("pitch", [43.0, 50.3, 56.0, 67.0])
def test_a_sung_pitch_is_found_to_a_tenth_of_a_semitone_without_octave_errors(pitch: float) -> None:
    found = voice_pitch(tone(pitch, 0.6, 8), RATE_HZ)
    assert np.nanmedian(found) == pytest.approx(pitch, abs=0.1)
    assert np.isfinite(found[5:25]).all()


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(8_000)
    assert np.isfinite(voice_pitch(noise, RATE_HZ)).mean() < 0.1
    assert not np.isfinite(voice_pitch(np.zeros(8_000), RATE_HZ)).any()


def test_the_peaks_of_a_chord_are_its_notes() -> None:
    peaks = spectral_peaks(tone(60, 2) + tone(64, 2) + tone(67.4, 2), RATE_HZ, 130, 1_500)
    for pitch in (60, 64, 67.4):
        assert np.abs(peaks.pitches - pitch).min() < 0.05
    assert np.average(np.abs(peaks.pitches[:, None] - [60, 64, 67.4]).min(axis=1), weights=peaks.amplitudes) < 0.2


@pytest.mark.parametrize("key", range(12))
def test_the_scale_of_a_melody_is_its_key(key: int) -> None:
    pitches = np.array([0, 2, 4, 5, 7, 9, 11, 12]) + 60.0 + key
    scale = scale_of(Peaks(pitches, np.ones(8)))
    assert scale == Scale(key)
    np.testing.assert_allclose(scale.distance(pitches), 0)
    np.testing.assert_allclose(scale.distance(np.array([60.0 + key + 1, 60.0 + key + 4.5])), [1.0, 0.5])
