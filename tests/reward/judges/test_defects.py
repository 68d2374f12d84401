from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.waveform import mono_waveform
from reward.judges.defects import (
    DefectsJudge,
    beat_deviation,
    calibrate_defects,
    count_dropouts,
    count_stutters,
    defect_parts,
    out_of_key,
)

RATE_HZ = 16_000


def tone(pitch: float, duration_s: float) -> Array:
    return 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def onsets_at(times_s: list[float], duration_s: float = 6.0) -> Array:
    strength = np.zeros(round(duration_s * 100))
    strength[[round(time_s * 100) for time_s in times_s]] = 1.0
    return strength


def with_accompaniment(stems: Stems, accompaniment: Array) -> Stems:
    sound = accompaniment.astype(np.float32)
    mixture = mono_waveform(stems.vocal.mono + sound, RATE_HZ)
    return replace(stems, accompaniment=mono_waveform(sound, RATE_HZ), mixture=mixture)


def test_onsets_on_the_half_beats_do_not_deviate_and_late_ones_do_by_their_share() -> None:
    on_beat = [0.3 + 0.2 * beat for beat in range(20)]
    late = [time_s + 0.09 * (place % 4 == 3) for place, time_s in enumerate(on_beat)]
    assert beat_deviation(onsets_at(on_beat), 0.4) == 0.0
    assert beat_deviation(onsets_at(late), 0.4) == pytest.approx(1 / 4)
    assert beat_deviation(np.zeros(600), 0.4) == 0.0


def test_tones_of_a_key_are_in_it_and_a_foreign_or_detuned_one_counts_by_its_share() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72]
    in_key = np.concatenate([tone(pitch, 0.5) for pitch in scale])
    foreign = np.concatenate([tone(pitch, 0.5) for pitch in [60, 62, 64, 66.5, 67, 69, 71, 72]])
    assert out_of_key(in_key, RATE_HZ) < 0.05
    assert out_of_key(foreign, RATE_HZ) == pytest.approx(1 / 8, abs=0.06)
    assert out_of_key(np.zeros(RATE_HZ), RATE_HZ) == 0.0


def test_gaps_are_counted_and_an_ending_silence_is_not() -> None:
    sound = tone(60, 4.0)
    sound[16_000:20_000] = 0
    sound[40_000:44_000] = 0
    sound[60_000:] = 0
    assert count_dropouts(sound, RATE_HZ) == 2
    assert count_dropouts(tone(60, 4.0), RATE_HZ) == 0


def test_a_stuttered_beat_is_one_stutter_and_eighth_notes_are_none() -> None:
    eighths = [0.2 * step for step in range(1, 25)]
    assert count_stutters(onsets_at(eighths), 0.4) == 0
    assert count_stutters(onsets_at([*eighths, 2.08, 2.14]), 0.4) == 1


def test_fast_onsets_that_come_unevenly_or_too_close_to_be_heard_apart_are_no_stutter() -> None:
    eighths = [0.2 * step for step in range(1, 25)]
    assert count_stutters(onsets_at([*eighths, 2.12]), 0.4) == 0
    assert count_stutters(onsets_at([*eighths, 2.03, 2.06]), 0.4) == 0


@pytest.fixture(scope="module")
def judge(songs: list[Any]) -> DefectsJudge:
    return calibrate_defects([song.stems for song in songs[:40]])


def test_spoiling_the_band_of_any_song_gives_it_more_defects_on_average_the_more_is_spoilt(
    judge: DefectsJudge, songs: list[Any]
) -> None:
    means: list[float] = []
    for num_spoilt in (0, 2, 5):
        spoilt: list[Stems] = []
        for index, song in enumerate(songs[40:60]):
            sound = song.stems.accompaniment.mono.copy()
            beat = round(song.beat_s * RATE_HZ)
            for place in np.random.default_rng(index).permutation(10)[:num_spoilt]:
                piece = sound[place * beat : (place + 1) * beat]
                piece[:] = 0 if place % 2 else np.roll(piece, beat // 3)
            spoilt.append(with_accompaniment(song.stems, sound))
        means.append(float(np.mean([found.score.value for found in judge.judge(spoilt)])))
    assert abs(means[0]) < 0.5
    assert means[0] + 0.3 < means[1] < means[2]


def test_louder_or_softer_songs_have_the_same_parts(songs: list[Any]) -> None:
    stems = songs[0].stems
    softer = Stems(
        *(mono_waveform(0.2 * stem.mono, RATE_HZ) for stem in (stems.vocal, stems.accompaniment, stems.mixture))
    )
    plain, quiet = defect_parts(stems), defect_parts(softer)
    assert quiet.beat_deviation == pytest.approx(plain.beat_deviation, abs=1e-3)
    assert quiet.out_of_key == pytest.approx(plain.out_of_key, abs=1e-3)
    assert quiet.glitches_per_minute == plain.glitches_per_minute


def test_saved_and_loaded_it_judges_the_same(judge: DefectsJudge, songs: list[Any], tmp_path: Path) -> None:
    judge.save(tmp_path / "judge")
    loaded = DefectsJudge.load(tmp_path / "judge")
    assert loaded.digest == judge.digest
    assert loaded.judge([songs[0].stems]) == judge.judge([songs[0].stems])


def test_a_song_without_accompaniment_has_no_number_and_one_clean_song_is_no_calibration(
    judge: DefectsJudge, songs: list[Any]
) -> None:
    alone = with_accompaniment(songs[0].stems, np.zeros(songs[0].stems.vocal.num_samples))
    assert judge.judge([alone])[0].score.missing == "silent"
    with pytest.raises(ValueError, match="1 clean songs"):
        calibrate_defects([songs[0].stems])
