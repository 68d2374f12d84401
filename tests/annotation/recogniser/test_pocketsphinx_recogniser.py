"""PocketSphinx as a second opinion: it hears some of the words, and the same whatever it heard before."""

import pickle

import jiwer
import numpy as np
import pytest

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.pocketsphinx import PocketSphinxRecogniser
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform


@pytest.fixture(scope="module")
def second_opinion(small_lexicon: Lexicon) -> PocketSphinxRecogniser:
    return PocketSphinxRecogniser(small_lexicon)


@pytest.fixture(scope="module")
def vocals(unheard_songs: list[LabelledSong]) -> list[Waveform]:
    return [song.vocal for song in unheard_songs[:3]]


def test_right_lyrics_fit_better_than_those_of_other_songs(
    second_opinion: PocketSphinxRecogniser, vocals: list[Waveform], unheard_songs: list[LabelledSong]
) -> None:
    heard = [" ".join(item.word_names) for item in second_opinion.transcribe(vocals)]
    truth = [" ".join(word.word for word in song.words) for song in unheard_songs[:3]]
    assert jiwer.wer(truth, heard) < jiwer.wer(truth, heard[1:] + heard[:1]) - 0.2


def test_what_was_heard_before_changes_nothing(second_opinion: PocketSphinxRecogniser, vocals: list[Waveform]) -> None:
    together = second_opinion.transcribe(vocals)
    assert second_opinion.transcribe(vocals[::-1]) == together[::-1]


def test_phonemes_are_those_of_the_words(second_opinion: PocketSphinxRecogniser, vocals: list[Waveform]) -> None:
    transcript = second_opinion.transcribe(vocals[:1])[0]
    assert transcript.phoneme_names == second_opinion.lexicon.phonemes_of(transcript.word_names)
    assert transcript.phonemes[0].start_s == transcript.words[0].start_s
    assert transcript.phonemes[-1].end_s == pytest.approx(transcript.words[-1].end_s)


def test_a_copy_for_another_process_hears_alike(second_opinion: PocketSphinxRecogniser, vocals: list[Waveform]) -> None:
    copy = pickle.loads(pickle.dumps(second_opinion))
    assert copy.digest == second_opinion.digest
    assert copy.transcribe(vocals[:1]) == second_opinion.transcribe(vocals[:1])


def test_silence_has_no_words(second_opinion: PocketSphinxRecogniser) -> None:
    transcript = second_opinion.transcribe([mono_waveform(np.zeros(16000, np.float32), 16000)])[0]
    assert transcript.words == ()
    assert transcript.confidence == 0


def test_words_that_the_dictionary_lacks_are_named() -> None:
    with pytest.raises(ValueError, match=r"words \['zzyzx'\] are not in the CMU dictionary"):
        PocketSphinxRecogniser(Lexicon({"moon": ("m", "u:", "n"), "zzyzx": ("z",)}))
