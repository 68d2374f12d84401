"""Pitch of tones, noise and silence, and the steadying of it."""

import numpy as np
import pytest

from levo.codec.pitch import track_pitch
from levo.codec.steady_pitch import steady_pitch
from levo.song.arrays import Array

_RATE_HZ = 16000


def _voice(f0_hz: float, num_samples: int = _RATE_HZ) -> Array:
    times_s = np.arange(num_samples) / _RATE_HZ
    partials = range(1, int(7000 / f0_hz))
    return np.asarray(0.1 * sum(np.sin(2 * np.pi * f0_hz * n * times_s) / n for n in partials), dtype=np.float32)


@pytest.mark.parametrize("f0_hz", [80.0, 98.0, 146.8, 233.1, 311.1, 392.0, 523.3])
def test_a_harmonic_tone_has_its_pitch_within_two_cents(f0_hz: float) -> None:
    track = track_pitch(_voice(f0_hz), _RATE_HZ, 160)
    inner = slice(5, -5)
    assert track.voiced[inner].all()
    cents = 1200 * np.log2(track.f0_hz[inner] / f0_hz)
    assert np.abs(cents).max() < 2


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(_RATE_HZ).astype(np.float32)
    for samples in (noise, np.zeros(_RATE_HZ, np.float32)):
        track = track_pitch(samples, _RATE_HZ, 160)
        assert track.voiced.mean() < 0.02
        assert (track.f0_hz[~track.voiced] == 0).all()


def test_a_louder_voice_has_the_same_pitch() -> None:
    soft, loud = (track_pitch(gain * _voice(196.0), _RATE_HZ, 160) for gain in (0.5, 2.0))
    np.testing.assert_allclose(soft.f0_hz, loud.f0_hz, rtol=1e-4)


def test_an_odd_hop_is_refused() -> None:
    with pytest.raises(ValueError, match="hop is 161"):
        track_pitch(_voice(200.0), _RATE_HZ, 161)


def test_noisy_readings_of_one_note_are_averaged_and_a_step_stays_a_step() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([7.0, 7.5], 20)
    deviation = np.full(40, 0.03, np.float32)
    read = (truth + 0.03 * rng.standard_normal(40)).astype(np.float32)
    steady = steady_pitch(read, deviation, np.ones(40, np.float32))
    assert np.abs(steady - truth).mean() < 0.6 * np.abs(read - truth).mean()
    assert steady[19] < 7.1
    assert steady[20] > 7.4


def test_an_exact_reading_outweighs_a_vague_one_and_unvoiced_frames_count_nothing() -> None:
    octaves = np.array([7.0, 7.1, 3.0], np.float32)
    deviation = np.array([0.01, 0.1, 0.5], np.float32)
    steady = steady_pitch(octaves, deviation, np.array([1, 1, 0], np.float32))
    assert abs(steady[1] - 7.0) < 0.01
    alone = steady_pitch(octaves[:2], deviation[:2], np.ones(2, np.float32))
    np.testing.assert_allclose(steady[:2], alone, rtol=1e-6)
