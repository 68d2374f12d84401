"""Chroma, keys and mel bands on tones whose place is known."""

import numpy as np
import pytest

from annotation.spectrum.bands import FLOOR_DB, band_levels_db, mel_weights
from annotation.spectrum.chroma import chroma, key_correlations
from annotation.spectrum.stft import StftConfig, stft
from levo.song.arrays import Array

_RATE_HZ = 16_000
_TONES = StftConfig(4096, 1024)


def _tone(*frequencies_hz: float) -> Array:
    time_s = np.arange(_RATE_HZ) / _RATE_HZ
    return np.asarray(sum(np.sin(2 * np.pi * hz * time_s) for hz in frequencies_hz), dtype=np.float32)


@pytest.mark.parametrize("pitch_class", range(12))
def test_a_tone_falls_into_its_pitch_class_in_every_octave(pitch_class: int) -> None:
    for octave in (-1, 0, 1):
        tone = _tone(440 * 2 ** ((pitch_class - 9) / 12 + octave))
        assert chroma(stft(tone, _TONES), _TONES, _RATE_HZ).mean(axis=0).argmax() == pitch_class


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("mode", "third"), [(0, 4), (1, 3)])
def test_a_tonic_triad_speaks_for_its_key(tonic: int, mode: int, third: int) -> None:
    profile = np.zeros(12)
    profile[[tonic, (tonic + third) % 12, (tonic + 7) % 12]] = 1
    correlations = key_correlations(profile)
    assert divmod(int(correlations.argmax()), 12) == (mode, tonic)


def test_an_even_profile_speaks_for_no_key() -> None:
    assert not key_correlations(np.ones(12)).any()


def test_mel_bands_are_triangles_that_sum_to_one_between_the_outer_centres() -> None:
    config = StftConfig(1024, 256)
    weights = mel_weights(config, _RATE_HZ, 12)
    centres = weights.argmax(axis=0)
    np.testing.assert_allclose(weights[centres[0] + 1 : centres[-1]].sum(axis=1), 1, atol=1e-5)


def test_the_loudest_band_is_at_0_db_and_silence_at_the_floor() -> None:
    config = StftConfig(512, 160)
    levels = band_levels_db(stft(_tone(1000.0), config), config, _RATE_HZ, 24)
    assert levels.max() == 0
    assert levels.min() >= FLOOR_DB
    assert (band_levels_db(stft(np.zeros(1600, np.float32), config), config, _RATE_HZ, 24) == FLOOR_DB).all()
