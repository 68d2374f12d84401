"""Known words of rendered songs stand where they are sung."""

import numpy as np
import pytest

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.lexicon_aligner import LexiconAligner
from levo.song.labelled import LabelledSong
from levo.song.waveform import mono_waveform


def test_words_of_rendered_songs_start_where_they_are_sung(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    aligner = LexiconAligner(small_recogniser)
    for heard in ("vocal", "mixture"):
        away = []
        for song in unheard_songs:
            names = [word.word for word in song.words]
            half = len(names) // 2
            lines = aligner.align(getattr(song, heard), [names[:half], names[half:]])
            assert [word.word for line in lines for word in line.words] == names
            aligned = [word for line in lines for word in line.words]
            away += [abs(word.start_s - true.start_s) for word, true in zip(aligned, song.words, strict=True)]
        assert np.median(away) < 0.06
        assert np.mean(away) < 0.2


def test_a_songs_own_words_are_surer_than_another_songs(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    aligner = LexiconAligner(small_recogniser)
    song = unheard_songs[0]

    def confidence(names: list[str]) -> float:
        aligned = aligner.align(song.vocal, [names])[0].words
        return float(np.mean([word.confidence for word in aligned if word.confidence is not None]))

    own = [word.word for word in song.words]
    assert confidence(own) > confidence(own[::-1]) + 0.1


def test_words_are_the_phonemes_that_the_recogniser_aligns(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    song = unheard_songs[2]
    names = [word.word for word in song.words]
    lexicon = small_recogniser.lexicon
    phonemes = small_recogniser.align(song.vocal, lexicon.phonemes_of(names))
    for word in LexiconAligner(small_recogniser).align(song.vocal, [names])[0].words:
        own, phonemes = (
            phonemes[: len(lexicon.pronunciations[word.word])],
            phonemes[len(lexicon.pronunciations[word.word]) :],
        )
        assert (word.start_s, word.end_s) == (own[0].start_s, own[-1].end_s)


def test_words_that_the_lexicon_does_not_know_are_named(small_recogniser: CtcRecogniser) -> None:
    with pytest.raises(ValueError, match=r"words \['zebra'\] are not among the lexicon's 6"):
        LexiconAligner(small_recogniser).align(mono_waveform(np.zeros(16000, np.float32), 16000), [["moon", "zebra"]])
