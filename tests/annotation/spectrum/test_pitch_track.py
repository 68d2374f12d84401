"""Pitch of tones that glide, beside noise and silence."""

import numpy as np
import pytest

from annotation.spectrum.pitch import PitchConfig, track_pitch

_RATE_HZ = 16_000


@pytest.mark.parametrize("f0_hz", [85.0, 131.3, 220.0, 333.3, 520.0])
@pytest.mark.parametrize("num_harmonics", [1, 6, 15])
def test_a_tone_has_its_own_pitch_and_not_an_octave_of_it(f0_hz: float, num_harmonics: int) -> None:
    time_s = np.arange(_RATE_HZ) / _RATE_HZ
    tone = sum(np.sin(2 * np.pi * h * f0_hz * time_s + h) / h for h in range(1, num_harmonics + 1))
    track = track_pitch(np.asarray(tone, dtype=np.float32), _RATE_HZ, PitchConfig())
    assert track.voiced[3:-3].all()
    np.testing.assert_allclose(track.f0_hz[3:-3], f0_hz, rtol=0.01)


def test_a_glide_is_followed() -> None:
    f0_hz = np.geomspace(110, 220, 2 * _RATE_HZ)
    tone = np.sin(2 * np.pi * np.cumsum(f0_hz) / _RATE_HZ).astype(np.float32)
    track = track_pitch(tone, _RATE_HZ, PitchConfig())
    centres = np.minimum(np.arange(track.f0_hz.size) * round(track.hop_s * _RATE_HZ), f0_hz.size - 1)
    np.testing.assert_allclose(track.f0_hz[5:-5], f0_hz[centres][5:-5], rtol=0.02)


def test_noise_and_silence_are_not_voiced() -> None:
    noise = np.random.default_rng(0).normal(size=_RATE_HZ).astype(np.float32)
    assert track_pitch(noise, _RATE_HZ, PitchConfig()).voiced.mean() < 0.05
    assert not track_pitch(np.zeros(_RATE_HZ, np.float32), _RATE_HZ, PitchConfig()).voiced.any()
