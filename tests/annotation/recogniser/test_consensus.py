"""Where two recognisers agree in sound a line is trusted; what one of them did not hear is marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.recogniser.consensus import HeardLine, consensus, lines_of, phoneme_agreement
from annotation.recogniser.protocol import Transcript
from levo.song.timing import TimedPhoneme, TimedWord


def spread(word: str) -> list[tuple[str, float, float]]:
    return [(letter, place / len(word), (place + 1) / len(word)) for place, letter in enumerate(word)]


def transcript(*words: tuple[str, float]) -> Transcript:
    """Words of 0.4 s, each letter a phoneme."""
    timed = tuple(TimedWord(name, start_s, start_s + 0.4) for name, start_s in words)
    phonemes = tuple(
        TimedPhoneme(letter, word.start_s + start * 0.4, word.start_s + end * 0.4)
        for word in timed
        for letter, start, end in spread(word.word)
    )
    return Transcript(phonemes, timed, 0.5)


def test_lines_end_where_nothing_is_sung() -> None:
    words = transcript(("a", 0.0), ("b", 0.5), ("c", 1.5), ("d", 2.0)).words
    assert [[word.word for word in line] for line in lines_of(words)] == [["a", "b"], ["c", "d"]]
    assert lines_of(()) == []


def test_agreement_is_written_out() -> None:
    first = transcript(("moon", 0.0), ("rose", 0.5), ("wind", 2.0))
    second = transcript(("moan", 0.0), ("rose", 0.5), ("bird", 2.0))
    assert consensus(first, second) == (
        HeardLine(("moon", "rose"), 0.0, 0.9, 1 - 1 / 8, needs_review=False),
        HeardLine(("wind",), 2.0, 2.4, 1 - 2 / 4, needs_review=True),
    )


def test_what_only_one_heard_needs_a_person() -> None:
    first = transcript(("moon", 0.0), ("wind", 4.0))
    second = transcript(("moon", 0.0), ("rose", 2.0))
    lines = consensus(first, second)
    assert [(line.words, line.agreement, line.needs_review) for line in lines] == [
        (("moon",), 1.0, False),
        (("rose",), 0.0, True),
        (("wind",), 0.0, True),
    ]
    with pytest.raises(ValueError, match=r"min_agreement is 1\.5"):
        consensus(first, second, min_agreement=1.5)


def test_words_that_nothing_tells_the_sound_of_need_a_person() -> None:
    """Where both write a language without phonemes, nothing was compared: that is no agreement."""
    silent = Transcript((), transcript(("moon", 0.0)).words, 0.5, "xx")
    assert consensus(silent, silent) == (HeardLine(("moon",), 0.0, 0.4, 0.0, needs_review=True),)


def test_a_word_without_length_is_compared_as_any_other() -> None:
    """Whisper gives some words no time of their own."""

    def heard(name: str) -> Transcript:
        phonemes = tuple(TimedPhoneme(letter, 1.0, 1.0) for letter in name)
        return Transcript(phonemes, (TimedWord(name, 1.0, 1.0),), 0.5)

    assert consensus(heard("moon"), heard("moon"))[0].agreement == 1
    assert consensus(heard("moon"), heard("moan"))[0].agreement == 3 / 4


WORDS = st.lists(st.text("abc", min_size=1, max_size=5), max_size=6)


@given(WORDS)
def test_a_transcript_agrees_with_itself(names: list[str]) -> None:
    heard = transcript(*[(name, 0.45 * place) for place, name in enumerate(names)])
    assert all(line.agreement == 1 and not line.needs_review for line in consensus(heard, heard))


@given(st.text("abcd", max_size=9), st.text("abcd", max_size=9))
def test_edits_are_those_of_the_plain_table(one: str, other: str) -> None:
    table = [[max(i, j) if min(i, j) == 0 else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            changed = table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            table[i][j] = min(changed, table[i - 1][j] + 1, table[i][j - 1] + 1)
    longest = max(len(one), len(other))
    assert phoneme_agreement(one, other) == (1 if longest == 0 else 1 - table[-1][-1] / longest)
    assert phoneme_agreement(one, other) == phoneme_agreement(other, one)
