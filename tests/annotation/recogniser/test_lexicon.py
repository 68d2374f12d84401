"""Words from phonemes against every row of words that could be meant."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.recogniser.lexicon import Lexicon
from levo.song.timing import TimedPhoneme

_WORDS = {"ab": ("a", "b"), "bac": ("b", "a", "c"), "c": ("c",), "cab": ("c", "a", "b")}


def _edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein's recursion, written out as a table."""
    table = [[row + column for column in range(len(second) + 1)] for row in range(len(first) + 1)]
    for row, column in itertools.product(range(1, len(first) + 1), range(1, len(second) + 1)):
        table[row][column] = min(
            table[row - 1][column] + 1,
            table[row][column - 1] + 1,
            table[row - 1][column - 1] + (first[row - 1] != second[column - 1]),
        )
    return table[-1][-1]


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abcx"), max_size=5))
def test_the_words_are_those_with_the_fewest_edits(phonemes: list[str]) -> None:
    lexicon = Lexicon(_WORDS)
    # Each word takes a phoneme or more, so no best row is longer than the phonemes.
    rows = itertools.chain.from_iterable(
        itertools.product(_WORDS, repeat=number) for number in range(0 if not phonemes else 1, len(phonemes) + 1)
    )
    fewest = min(_edit_distance(lexicon.phonemes_of(row), phonemes) for row in rows)
    found = lexicon.words_in(phonemes)
    assert found.num_edits == fewest
    assert _edit_distance(lexicon.phonemes_of([item.word for item in found.words]), phonemes) == fewest


@given(st.lists(st.sampled_from("abcx"), max_size=9))
def test_words_take_up_all_phonemes_in_order(phonemes: list[str]) -> None:
    lexicon = Lexicon(_WORDS)
    found = lexicon.words_in(phonemes)
    edges = [0, *(item.end for item in found.words)]
    assert [item.start for item in found.words] == edges[:-1]
    assert edges[-1] == len(phonemes)
    in_parts = sum(
        _edit_distance(lexicon.pronunciations[item.word], phonemes[item.start : item.end]) for item in found.words
    )
    assert in_parts == found.num_edits


@given(st.lists(st.sampled_from(["moon", "star", "joy"]), max_size=12))
def test_clearly_spoken_words_are_found_without_edits(words: list[str]) -> None:
    lexicon = Lexicon({"moon": ("m", "u:", "n"), "star": ("s", "t", "A@"), "joy": ("dZ", "OI")})
    found = lexicon.words_in(lexicon.phonemes_of(words))
    assert [item.word for item in found.words] == words
    assert found.num_edits == 0


def test_a_wrong_phoneme_does_not_lose_the_words_around_it() -> None:
    lexicon = Lexicon({"moon": ("m", "u:", "n"), "star": ("s", "t", "A@"), "joy": ("dZ", "OI")})
    found = lexicon.words_in(("m", "u:", "m", "s", "A@", "dZ", "OI"))
    assert [item.word for item in found.words] == ["moon", "star", "joy"]
    assert found.num_edits == 2


def test_a_word_lasts_from_its_first_phoneme_to_its_last() -> None:
    phonemes = [TimedPhoneme(name, at / 10, (at + 1) / 10) for at, name in enumerate("abbac")]
    words = Lexicon(_WORDS).timed_words(phonemes)
    assert [(word.word, word.start_s, word.end_s) for word in words] == [("ab", 0.0, 0.2), ("bac", 0.2, 0.5)]


def test_unknown_words_and_empty_pronunciations_are_named() -> None:
    with pytest.raises(ValueError, match=r"words \['zap'\] are not among the lexicon's 4"):
        Lexicon(_WORDS).phonemes_of(["ab", "zap"])
    with pytest.raises(ValueError, match=r"words without phonemes: \['mute'\]"):
        Lexicon({"mute": ()})


def test_a_saved_lexicon_is_the_same_in_any_order_of_words(tmp_path: Path) -> None:
    lexicon = Lexicon(dict(reversed(_WORDS.items())))
    lexicon.save(tmp_path / "lexicon")
    loaded = Lexicon.load(tmp_path / "lexicon")
    assert loaded.pronunciations == lexicon.pronunciations
    assert loaded.digest == lexicon.digest == Lexicon(_WORDS).digest
    assert loaded.phonemes == ("a", "b", "c")
