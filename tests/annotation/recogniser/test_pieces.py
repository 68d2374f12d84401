"""Training pieces: together they hold every phoneme once, cut at words, with the symbol that sounds in each frame."""

import itertools

import numpy as np
import pytest

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.network import NetworkConfig
from annotation.recogniser.pieces import cut_song, sounding_symbols, spans_between_words
from levo.song.labelled import LabelledSong
from levo.song.timing import TimedPhoneme
from pipelines.rendered.draw import render_training_songs
from pipelines.rendered.voice import Voice


@pytest.fixture(scope="module")
def long_song(small_voice: Voice) -> LabelledSong:
    return render_training_songs(1, seed=4, voice=small_voice, long_share=1.0, purpose="pieces-test")[0]


@pytest.mark.parametrize("max_piece_s", [1.5, 6.0, 100.0])
def test_pieces_hold_every_phoneme_once_and_all_frames(
    long_song: LabelledSong, small_lexicon: Lexicon, max_piece_s: float
) -> None:
    network = NetworkConfig(num_bands=20)
    pieces = cut_song(long_song, (long_song.vocal, long_song.mixture), small_lexicon, network, max_piece_s)
    names = [small_lexicon.phonemes[symbol - 1] for piece in pieces for symbol in piece.symbols]
    assert names == [item.phoneme for item in long_song.phonemes]
    assert sum(piece.num_frames for piece in pieces) == round(long_song.mixture.duration_s * 50)
    for piece in pieces:
        assert [rows.shape for rows in piece.levels] == [(piece.num_frames, 20)] * 2
        assert piece.num_frames <= max_piece_s * 50 + 1
        heard = [symbol for symbol, _ in itertools.groupby(piece.sounding) if symbol]
        assert len(heard) <= len(piece.symbols)


def test_no_cut_falls_into_a_word(long_song: LabelledSong) -> None:
    spans = spans_between_words(long_song, long_song.mixture.duration_s, 2.0)
    assert spans[0].start_s == 0
    assert spans[-1].end_s == long_song.mixture.duration_s
    for earlier, later in itertools.pairwise(spans):
        assert earlier.end_s == later.start_s
        assert not any(word.start_s + 1e-9 < later.start_s < word.end_s - 1e-9 for word in long_song.words)


def test_the_symbol_of_a_frame_is_what_sounds_at_its_centre() -> None:
    timed = (TimedPhoneme("a", 0.02, 0.05), TimedPhoneme("b", 0.05, 0.10))
    # Centres lie at 10, 30, 50, 70, 90 and 110 ms.
    np.testing.assert_array_equal(sounding_symbols(timed, {"a": 1, "b": 2}, 0, 6, 50), [0, 1, 2, 2, 2, 0])
    np.testing.assert_array_equal(sounding_symbols(timed, {"a": 1, "b": 2}, 2, 4, 50), [2, 2])
