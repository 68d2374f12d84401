"""Analysis and synthesis of an accompaniment: pitches, levels, noise and silence come back."""

import numpy as np

from levo.codec.accompaniment_analysis import (
    LOWEST_PITCH,
    accompaniment_features,
    analyse_accompaniment,
    band_edges_hz,
    band_of_pitch,
    pitch_hz,
)
from levo.codec.accompaniment_synthesis import AccompanimentTable, fit_accompaniment_table
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong

_RATE_HZ, _FRAME = 16000, 640


def _tones(pitches: tuple[int, ...], num_frames: int = 50) -> Array:
    times_s = np.arange(num_frames * _FRAME) / _RATE_HZ
    return np.asarray(sum(0.1 * np.sin(2 * np.pi * pitch_hz(np.array(p)) * times_s) for p in pitches), np.float32)


def _copied(samples: Array) -> Array:
    frames = analyse_accompaniment(samples, _RATE_HZ, _FRAME)
    codes = np.arange(frames.shares.shape[0], dtype=np.int32)
    return fit_accompaniment_table(frames, codes, codes.size, _RATE_HZ, _FRAME).synthesise(codes)


def test_a_pitch_lies_in_the_band_whose_edges_hold_it() -> None:
    edges_hz = band_edges_hz(_RATE_HZ)
    for index, band in enumerate(band_of_pitch()):
        assert edges_hz[band] < pitch_hz(np.array(LOWEST_PITCH + index)) < edges_hz[band + 1]


def test_the_bands_of_a_chord_are_filled_by_its_notes() -> None:
    chord = (60, 64, 67, 72)
    shares = analyse_accompaniment(_tones(chord), _RATE_HZ, _FRAME).shares[10:-10].mean(axis=0)
    sounding = {LOWEST_PITCH + int(index) for index in np.flatnonzero(shares > 0.2)}
    assert set(chord) <= sounding
    assert shares[np.array(chord) - LOWEST_PITCH].sum() > 2.7


def test_a_chord_comes_back_with_its_notes_and_loudness() -> None:
    chord = (52, 60, 64, 67)
    before, after = _tones(chord), _copied(_tones(chord))
    middle = slice(10 * _FRAME, -10 * _FRAME)
    assert 0.8 < after[middle].std() / before[middle].std() < 1.2
    spectrum = np.abs(np.fft.rfft(after[middle] * np.hanning(after[middle].size))) ** 2
    bins = np.arange(spectrum.size) * _RATE_HZ / after[middle].size
    near = np.zeros(spectrum.size, dtype=bool)
    for pitch in chord:
        near |= np.abs(bins - pitch_hz(np.array(pitch))) < 4
    assert spectrum[near].sum() / spectrum.sum() > 0.95


def test_noise_stays_noise_of_its_level() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(60 * _FRAME).astype(np.float32)
    frames = analyse_accompaniment(noise, _RATE_HZ, _FRAME)
    tonality = frames.shares @ np.eye(band_of_pitch()[-1] + 1)[band_of_pitch()]
    assert tonality[5:-5].mean() < 0.25
    after = analyse_accompaniment(_copied(noise), _RATE_HZ, _FRAME)
    assert np.abs((after.log_bands - frames.log_bands)[5:-5].mean(axis=(0, 1))).max() < 0.5


def test_a_played_accompaniment_keeps_its_levels(codec_songs: list[LabelledSong]) -> None:
    before_samples = codec_songs[0].accompaniment.mono
    before, after = (
        analyse_accompaniment(samples, _RATE_HZ, _FRAME) for samples in (before_samples, _copied(before_samples))
    )
    loud = before.log_bands > np.log(1e-5)
    assert np.abs(after.log_bands - before.log_bands)[loud].mean() < 0.7


def test_silent_and_unfitted_codes_are_exactly_silent() -> None:
    frames = analyse_accompaniment(np.zeros(4 * _FRAME, np.float32), _RATE_HZ, _FRAME)
    assert frames.silent.all()
    table = fit_accompaniment_table(frames, np.zeros(4, np.int32), 2, _RATE_HZ, _FRAME)
    assert not table.synthesise(np.array([0, 1, 0], np.int32)).any()


def test_one_code_held_is_one_steady_tone() -> None:
    bands = np.full((1, 4, band_edges_hz(_RATE_HZ).size - 1), np.log(1e-10), np.float32)
    shares = np.zeros((1, 80), np.float32)
    pitch = 69
    bands[:, :, band_of_pitch()[pitch - LOWEST_PITCH]] = np.log(0.02)
    shares[0, pitch - LOWEST_PITCH] = 1
    sound = AccompanimentTable(bands, shares, _RATE_HZ, _FRAME).synthesise(np.zeros(25, np.int32))
    assert sound.shape == (25 * _FRAME,)
    inner = sound[_FRAME:-_FRAME]
    times_s = np.arange(inner.size) / _RATE_HZ
    basis = np.stack([np.sin(2 * np.pi * 440 * times_s), np.cos(2 * np.pi * 440 * times_s)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, inner, rcond=None)
    assert np.abs(inner - basis @ weights).max() < 1e-3
    # A sine of amplitude A has power A^2 / 2.
    np.testing.assert_allclose(np.square(weights).sum() / 2, 0.02, rtol=1e-3)


def test_another_chord_of_the_same_level_is_another_place() -> None:
    first, same, other = (
        accompaniment_features(analyse_accompaniment(_tones(chord), _RATE_HZ, _FRAME), pitch_weight=6.0)[25]
        for chord in ((60, 64, 67), (60, 64, 67), (62, 65, 69))
    )
    assert np.linalg.norm(first - same) < 1e-3
    assert np.linalg.norm(first - other) > 3
