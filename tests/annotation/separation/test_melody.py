"""The melody's path against brute force, its harmonics by arithmetic, and its pitch on a voice over chords."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.separation.melody import MelodyConfig, best_path, comb, harmonic_weights, melody_hz
from annotation.spectrum.stft import StftConfig, stft


@given(st.integers(0, 10_000), st.integers(0, 2), st.floats(0.1, 3))
def test_the_best_path_is_that_of_brute_force(seed: int, glide: int, penalty: float) -> None:
    salience = np.random.default_rng(seed).normal(size=(4, 5)).astype(np.float32)

    def total(path: tuple[int, ...]) -> float:
        leaps = sum(abs(a - b) > glide for a, b in itertools.pairwise(path))
        return float(salience[range(4), path].sum()) - penalty * leaps

    found = tuple(int(pitch) for pitch in best_path(salience, glide, penalty))
    assert total(found) == pytest.approx(max(map(total, itertools.product(range(5), repeat=4))), abs=1e-5)


def test_weights_reward_harmonics_and_punish_what_lies_midway() -> None:
    config = MelodyConfig(lowest_hz=100, highest_hz=200, pitches_per_octave=1, num_harmonics=3)
    weights = harmonic_weights(100, 10.0, config)
    signs = np.sign(weights[:, 0])
    assert np.flatnonzero(signs > 0).tolist() == [10, 20, 30]
    assert np.flatnonzero(signs < 0).tolist() == [5, 15, 25]
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), 1, atol=1e-6)


def test_a_comb_is_one_on_harmonics_and_falls_off_between_them() -> None:
    frequencies = np.array([50, 200, 220, 300, 400], dtype=np.float32)
    teeth = comb(np.array([200], dtype=np.float32), frequencies, width_hz=20)[0]
    assert teeth == pytest.approx([0, 1, np.exp(-0.5), np.exp(-0.5 * 25), 1], abs=1e-4)


@pytest.mark.parametrize("f0_hz", [120.0, 155.0, 247.0])
def test_a_voice_of_many_harmonics_is_followed_through_louder_chords(f0_hz: float) -> None:
    rate, config = 16_000, StftConfig(1536, 256)
    time_s = np.arange(rate) / rate
    voice = sum(np.sin(2 * np.pi * h * f0_hz * time_s + h * h) for h in range(1, int(4500 / f0_hz)))
    chord = sum(3 * np.sin(2 * np.pi * hz * h * time_s) / h**2 for hz in (130.8, 164.8, 196.0) for h in range(1, 5))
    magnitude = np.abs(stft(np.asarray(voice + chord, dtype=np.float32), config))
    melody = melody_hz(magnitude, rate / 1536, MelodyConfig())
    np.testing.assert_allclose(melody[4:-4], f0_hz, rtol=0.02)
