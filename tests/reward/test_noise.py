from collections.abc import Sequence

import numpy as np
import pytest

from levo.song.scores import Score, missing_score
from levo.song.waveform import Waveform, mono_waveform
from reward.noise import NUISANCES, Nuisance, measure_noise, noise_of_scores, nuisance_versions


def sines(num_songs: int) -> list[Waveform]:
    time_s = np.arange(8_000) / 16_000
    return [
        mono_waveform((0.3 * np.sin(2 * np.pi * (200 + 50 * song) * time_s)).astype(np.float32), 16_000)
        for song in range(num_songs)
    ]


def test_the_noise_is_the_pooled_standard_deviation_within_songs() -> None:
    versions = [[Score(1.0), Score(10.0)], [Score(3.0), Score(10.0)]]
    assert noise_of_scores("m", "d", versions).standard_deviation == pytest.approx(1.0)


def test_songs_with_a_single_score_are_left_out_and_none_at_all_is_refused() -> None:
    gone = missing_score("too short")
    noise = noise_of_scores("m", "d", [[Score(1.0), gone], [Score(2.0), Score(5.0)]])
    assert noise.num_songs == 1
    assert noise.standard_deviation == pytest.approx(0.5**0.5)
    with pytest.raises(ValueError, match="no song has two scores"):
        noise_of_scores("m", "d", [[gone], [Score(1.0)]])


def test_a_scorer_that_hears_only_pitch_has_less_noise_than_one_that_hears_level() -> None:
    def pitch(songs: Sequence[Waveform]) -> list[Score]:
        return [Score(float(np.abs(np.fft.rfft(song.mono)).argmax() / len(song.mono))) for song in songs]

    def level(songs: Sequence[Waveform]) -> list[Score]:
        return [Score(float(np.abs(song.mono).max())) for song in songs]

    versions = nuisance_versions(sines(3), seed=0)
    assert measure_noise("pitch", "a", pitch, versions).standard_deviation < 1e-3
    assert measure_noise("level", "b", level, versions).standard_deviation > 0.03
    assert len(versions) == len(NUISANCES)


def test_each_nuisance_does_what_it_says() -> None:
    song = sines(1)[0]
    assert np.abs(Nuisance(gain_db=-6.0206).apply(song, 0).mono).max() == pytest.approx(0.15, rel=1e-3)
    shifted = Nuisance(shift_s=0.04).apply(song, 0)
    np.testing.assert_array_equal(shifted.mono[640:], song.mono)
    hiss = Nuisance(hiss_db=-40.0).apply(song, 0).mono - song.mono
    assert np.std(hiss) == pytest.approx(0.01 * np.std(song.mono), rel=0.05)
