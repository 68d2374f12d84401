"""The same sound is found through another codec, rate, level or cut; other songs are not."""

import io

import numpy as np
import pytest
import soundfile

from annotation.spectrum.fingerprint import HOP_S, best_overlap, bit_error_rate, fingerprint
from levo.song.arrays import Array
from levo.song.waveform import Waveform, mono_waveform
from pipelines.corpus.likeness import same_lyrics, same_sounds

RATE = 22050


def melody(seed: int, duration_s: float = 10.0) -> Array:
    """Notes of a scale with noise beneath."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(int(duration_s * RATE)) / RATE
    notes = 220 * 2 ** (generator.choice([0, 2, 4, 5, 7, 9, 11, 12], int(duration_s * 4) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(notes[(time_s * 4).astype(int)]) / RATE
    sound = sum(np.sin(number * phase) / number for number in range(1, 8))
    return np.asarray(0.2 * sound + generator.normal(0, 0.02, len(time_s)), dtype=np.float32)


def through(samples: Array, file_format: str, rate: int) -> Waveform:
    import soxr

    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(samples, RATE, rate), rate, format=file_format)
    buffer.seek(0)
    read, found_rate = soundfile.read(buffer, dtype="float32")
    return mono_waveform(read, found_rate)


def test_another_codec_rate_level_and_cut_are_the_same_sound() -> None:
    songs = {f"song {seed}": fingerprint(mono_waveform(melody(seed), RATE)) for seed in range(6)}
    others = {
        "mp3": fingerprint(through(melody(1), "MP3", 44100)),
        "ogg, quieter": fingerprint(through(0.3 * melody(2), "OGG", 32000)),
        "a part": fingerprint(through(melody(3)[3 * RATE : 7 * RATE], "MP3", 48000)),
        "another": fingerprint(mono_waveform(melody(77), RATE)),
    }
    found = {one.second: one for one in same_sounds(songs, others)}
    assert {name: one.first for name, one in found.items()} == {
        "mp3": "song 1",
        "ogg, quieter": "song 2",
        "a part": "song 3",
    }
    assert found["a part"].first_start_s == pytest.approx(3.0, abs=0.1)
    assert found["a part"].second_start_s == pytest.approx(0.0, abs=0.1)
    assert found["a part"].overlap_s == pytest.approx(4.0, abs=0.4)
    assert all(one.bit_error_rate < 0.25 for one in found.values())


def test_doubles_in_one_corpus_are_found_once() -> None:
    songs = {str(seed): fingerprint(mono_waveform(melody(seed % 4), RATE)) for seed in range(5)}
    assert [(one.first, one.second, one.bit_error_rate) for one in same_sounds(songs)] == [("0", "4", 0.0)]
    assert list(same_sounds({})) == []


def test_bits_of_other_songs_differ_by_half() -> None:
    one, other = (fingerprint(mono_waveform(melody(seed), RATE)) for seed in (0, 1))
    assert 0.4 < bit_error_rate(one, other) < 0.6
    assert len(one) == pytest.approx(10 / HOP_S, abs=2)


def test_silence_is_like_nothing() -> None:
    silent = fingerprint(mono_waveform(np.zeros(10 * RATE, np.float32), RATE))
    assert not silent.any()
    assert list(same_sounds({"a": silent, "b": silent})) == []


def test_distances_are_written_out() -> None:
    one, other = np.array([0, 0xFFFFFFFF, 3], np.uint32), np.array([0xFFFFFFFF, 1], np.uint32)
    assert bit_error_rate(one[1:], other) == pytest.approx(1 / 64)
    overlap = best_overlap(one, other, np.array([0, 1, 5]), 2)
    assert overlap is not None
    assert (overlap.offset, overlap.num_words) == (1, 2)
    assert overlap.bit_error_rate == pytest.approx(1 / 64)
    assert best_overlap(one, other, np.array([2]), 2) is None
    assert bit_error_rate(one[:0], other[:0]) == 0.5
    with pytest.raises(ValueError, match="3 and 2 words"):
        bit_error_rate(one, other)


def test_texts_that_repeat_a_songs_lines_are_found() -> None:
    songs = {"one": "[verse] red moon. blue sky. ; [chorus] go home.", "two": "[verse] green sea."}
    texts = {"prompt": "[verse] Red  Moon. blue sky. new line.", "fresh": "[verse] nothing known."}
    (found,) = same_lyrics(songs, texts)
    assert (found.song, found.text) == ("one", "prompt")
    assert found.shared_lines == pytest.approx(2 / 3)
