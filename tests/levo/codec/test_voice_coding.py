"""Analysis and synthesis of a voice undo each other, as far as one row of codes tells."""

import numpy as np
import pytest

from levo.codec.voice_analysis import analyse_voice, voice_features
from levo.codec.voice_synthesis import VoiceTable, fit_voice_table
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong

_RATE_HZ, _FRAME = 16000, 640


def _copied(samples: Array) -> Array:
    """Every frame its own code, so that nothing is lost to quantisation."""
    frames = analyse_voice(samples, _RATE_HZ, _FRAME)
    codes = np.arange(frames.f0_hz.size, dtype=np.int32)
    return fit_voice_table(frames, codes, codes.size, _RATE_HZ, _FRAME).synthesise(codes)


def test_a_sung_voice_keeps_pitch_loudness_and_envelope(codec_songs: list[LabelledSong]) -> None:
    vocal = codec_songs[0].vocal.mono
    before, after = (analyse_voice(samples, _RATE_HZ, _FRAME) for samples in (vocal, _copied(vocal)))
    both = (before.f0_hz > 0) & (after.f0_hz > 0)
    assert ((before.f0_hz > 0) == (after.f0_hz > 0)).mean() > 0.93
    assert np.median(np.abs(1200 * np.log2(after.f0_hz[both] / before.f0_hz[both]))) < 12
    loud = before.log_bands > np.log(1e-4)
    assert np.abs(after.log_bands - before.log_bands)[loud].mean() < 0.5


@pytest.mark.parametrize("f0_hz", [110.0, 330.0])
def test_the_envelope_of_a_flat_pulse_train_does_not_follow_its_harmonics(f0_hz: float) -> None:
    times_s = np.arange(_RATE_HZ) / _RATE_HZ
    pulses = sum(np.cos(2 * np.pi * f0_hz * n * times_s) for n in range(1, int(7900 / f0_hz)))
    frames = analyse_voice(np.asarray(0.01 * pulses, np.float32), _RATE_HZ, _FRAME)
    inner = frames.log_bands[5:-5, :, 6:-2]
    assert inner.std(axis=2).mean() < 0.35


def test_synthesised_loudness_is_that_of_the_table() -> None:
    bands = np.full((2, 4, 40), np.log(0.01), np.float32)
    table = VoiceTable(
        bands,
        np.array([[1, 1, 1, 1], [0, 0, 0, 0]], np.float32),
        np.array([200, 0], np.float32),
        np.zeros(2, np.float32),
        _RATE_HZ,
        _FRAME,
    )
    for code in (0, 1):
        sound = table.synthesise(np.full(50, code, np.int32))
        assert sound.shape == (50 * _FRAME,)
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.1, rel=0.1)


def test_silent_codes_are_exactly_silent() -> None:
    frames = analyse_voice(np.zeros(_FRAME * 4, np.float32), _RATE_HZ, _FRAME)
    assert frames.silent.all()
    table = fit_voice_table(frames, np.zeros(4, np.int32), 3, _RATE_HZ, _FRAME)
    assert not table.synthesise(np.array([0, 1, 2, 0], np.int32)).any()


def test_a_song_opens_the_same_however_it_goes_on(codec_songs: list[LabelledSong]) -> None:
    frames = analyse_voice(codec_songs[1].vocal.mono, _RATE_HZ, _FRAME)
    codes = np.arange(60, dtype=np.int32)
    part = type(frames)(frames.log_bands[:60], frames.voicing[:60], frames.f0_hz[:60])
    table = fit_voice_table(part, codes, 60, _RATE_HZ, _FRAME)
    whole, opening = table.synthesise(codes), table.synthesise(codes[:40])
    np.testing.assert_allclose(whole[: 34 * _FRAME], opening[: 34 * _FRAME], atol=1e-5)


def test_a_semitone_costs_its_weight_and_louder_costs_its_own(codec_songs: list[LabelledSong]) -> None:
    frames = analyse_voice(codec_songs[0].vocal.mono, _RATE_HZ, _FRAME)

    def features(scale: float, level: float) -> Array:
        moved = type(frames)(frames.log_bands + np.float32(level), frames.voicing, frames.f0_hz * np.float32(scale))
        return voice_features(moved, level_weight=0.5, voicing_weight=1.0, pitch_weight=12.0)

    is_voiced = frames.f0_hz > 0
    semitone = np.linalg.norm(features(2 ** (1 / 12), 0) - features(1, 0), axis=1)
    np.testing.assert_allclose(semitone[is_voiced], 1, atol=1e-3)
    np.testing.assert_allclose(semitone[~is_voiced], 0, atol=1e-6)
    # One neper of power in each of four hops moves four levels by 1, each with weight 0.5.
    np.testing.assert_allclose(np.linalg.norm(features(1, 1.0) - features(1, 0), axis=1), 1, atol=1e-3)
