"""The embedded aligner: rendered songs, a real speech, and a language that its acoustic model does not know."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from annotation.recogniser.pocketsphinx_aligner import PocketSphinxAligner
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform

pytest.importorskip("pocketsphinx")
_RECORDINGS = Path(__file__).parents[4] / "shared" / "data"


def names_of(song: LabelledSong) -> list[str]:
    return [word.word for word in song.words]


def test_words_of_rendered_songs_start_where_they_are_sung(unheard_songs: list[LabelledSong]) -> None:
    aligner, away = PocketSphinxAligner(), []
    for song in unheard_songs[:3]:
        aligned = aligner.align(song.vocal, [names_of(song)])[0].words
        away += [abs(word.start_s - true.start_s) for word, true in zip(aligned, song.words, strict=True)]
    assert np.median(away) < 0.1


def test_a_songs_own_words_are_surer_than_their_reverse_if_that_is_found_at_all(
    unheard_songs: list[LabelledSong],
) -> None:
    def confidence(song: LabelledSong, names: list[str]) -> float:
        try:
            aligned = PocketSphinxAligner().align(song.vocal, [names])[0].words
        except ValueError:
            return 0.0
        return float(np.mean([word.confidence or 0.0 for word in aligned]))

    for song in unheard_songs[:3]:
        assert confidence(song, names_of(song)[::-1]) < 0.8 * confidence(song, names_of(song)) < 0.8


def test_what_was_aligned_before_changes_nothing(unheard_songs: list[LabelledSong]) -> None:
    aligner, (first, second) = PocketSphinxAligner(), unheard_songs[:2]
    alone = aligner.align(first.vocal, [names_of(first)])
    aligner.align(second.vocal, [names_of(second)])
    assert aligner.align(first.vocal, [names_of(first)]) == alone


def test_a_search_that_stops_before_the_last_words_does_not_count(
    unheard_songs: list[LabelledSong],
) -> None:
    """The widest beam lets the lyrics end before the sound, so that words are missing."""
    song = unheard_songs[0]
    with pytest.raises(ValueError, match="words are not found in order"):
        PocketSphinxAligner(beams=(1e-300,)).align(song.vocal, [names_of(song)])
    narrow = PocketSphinxAligner(beams=(1e-60,)).align(song.vocal, [names_of(song)])
    assert PocketSphinxAligner(beams=(1e-300, 1e-60)).align(song.vocal, [names_of(song)]) == narrow


def spoken_words() -> tuple[Waveform, list[list[str]]]:
    path = _RECORDINGS / "jfk.flac"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    text = (
        "and so my fellow americans / ask not / what your country can do for you / ask what you can do for your country"
    )
    return Waveform(np.ascontiguousarray(samples.T), rate_hz), [line.split() for line in text.split(" / ")]


def test_lines_of_a_real_speech_start_after_its_pauses() -> None:
    """The speech is loud within its lines, and silent for 0.2 s and more before the second, third and fourth."""
    speech, lines = spoken_words()
    aligned = PocketSphinxAligner().align(speech, lines)
    assert [[word.word for word in line.words] for line in aligned] == lines
    rate = speech.sample_rate_hz
    level = np.sqrt(np.convolve(np.square(speech.mono), np.ones(rate // 10) / (rate // 10), mode="same"))
    loud = level > 0.1 * level.max()
    for before, line in pairwise(aligned):
        pause = loud[round(before.end_s * rate) : round(line.start_s * rate)]
        assert line.start_s - before.end_s > 0.2
        assert pause.mean() < 0.25
        assert loud[round(line.start_s * rate) : round(line.end_s * rate)].mean() > 0.6


def test_another_language_is_aligned_by_the_nearest_english_sounds() -> None:
    """`so` and `my` of the speech as German writes them, among words that it does not have."""
    pytest.importorskip("espeakng_loader")
    speech, lines = spoken_words()
    english = PocketSphinxAligner().align(speech, lines[:1] + lines[3:])
    german = PocketSphinxAligner("de").align(speech, [["änd", "soh", "mei", "fello", "emerikens"], ["ask", "wott"]])
    away = [abs(one.start_s - other.start_s) for one, other in zip(german[0].words, english[0].words, strict=True)]
    assert np.median(away) < 0.1


def test_words_without_phonemes_stand_between_their_neighbours(unheard_songs: list[LabelledSong]) -> None:
    song = unheard_songs[1]
    names = names_of(song)
    plain = PocketSphinxAligner().align(song.vocal, [names])[0].words
    marked = PocketSphinxAligner().align(song.vocal, [[names[0], "月"], names[1:]])
    assert marked[0].words[0] == plain[0]
    assert marked[1].words == plain[1:]
    assert (marked[0].words[1].start_s, marked[0].words[1].end_s) == (plain[0].end_s, plain[1].start_s)
    assert marked[0].words[1].confidence is None


def test_what_cannot_be_aligned_is_refused() -> None:
    noise = mono_waveform(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    aligner = PocketSphinxAligner()
    with pytest.raises(ValueError, match=r"60 words are not found in order in 1\.00 s of sound"):
        aligner.align(noise, [["moon", "light"] * 30])
    with pytest.raises(ValueError, match=r"none of the words \['月'\]"):
        aligner.align(noise, [["月"]])
    with pytest.raises(ValueError, match=r"expected at least 0\.1 s"):
        aligner.align(mono_waveform(np.zeros(10, np.float32), 16_000), [["moon"]])
    with pytest.raises(ValueError, match="no phonemes for language 'xx'"):
        PocketSphinxAligner("xx")
    assert [line.words for line in aligner.align(noise, [[], []])] == [(), ()]
    assert len({aligner.digest, PocketSphinxAligner("es").digest, PocketSphinxAligner(beams=(1e-80,)).digest}) == 3
