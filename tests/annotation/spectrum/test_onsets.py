"""Tempo from clicks whose beat is known."""

import numpy as np
import pytest

from annotation.spectrum.onset import TempoConfig, onset_strength, tempo_of
from levo.song.arrays import Array

_HOP_S = 0.01


def _clicks(bpm: float, duration_s: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    strength = 0.05 * rng.random(round(duration_s / _HOP_S))
    beats = np.arange(0.2, duration_s - 0.05, 60 / bpm)
    strength[np.round(beats / _HOP_S).astype(int)] += 1 + 0.3 * rng.random(beats.size)
    return strength.astype(np.float32)


@pytest.mark.parametrize("bpm", [90.0, 110.0, 125.0, 150.0, 187.5])
@pytest.mark.parametrize("duration_s", [5.0, 30.0])
def test_clicks_have_the_tempo_of_their_beat(bpm: float, duration_s: float) -> None:
    tempo = tempo_of(_clicks(bpm, duration_s, seed=round(bpm)), _HOP_S, TempoConfig())
    assert tempo is not None
    assert tempo.bpm == pytest.approx(bpm, rel=0.02)
    assert tempo.confidence > 0.4


def test_a_steady_level_and_a_single_click_have_no_tempo() -> None:
    assert tempo_of(np.ones(500, np.float32), _HOP_S, TempoConfig()) is None
    single = np.zeros(500, np.float32)
    single[100] = 1
    assert tempo_of(single, _HOP_S, TempoConfig()) is None
    assert tempo_of(np.ones(3, np.float32), _HOP_S, TempoConfig()) is None


def test_onset_strength_counts_rises_only() -> None:
    levels = np.array([[0, 0], [4, 0], [1, 2], [1, 2]], dtype=np.float32)
    np.testing.assert_allclose(onset_strength(levels), [0, 2, 1, 0])
    np.testing.assert_allclose(onset_strength(levels, slice(1, 2)), [0, 0, 2, 0])
