"""Known lyrics stand where they are sung: against every way to lay words over few frames, and in rendered songs."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.recogniser.forced_alignment import AlignedLine, AlignedWord, FrameScores, align_lyrics
from levo.song.arrays import Array

NONE, A, B = 0, 1, 2
SURE: Any = pytest.approx(0.9, rel=1e-5)


def letters_of(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The letters a and b of each word."""
    return [tuple(letter for letter in word if letter in "ab") for word in words]


def scores_of(probabilities: Array, rate_hz: float = 10.0) -> FrameScores:
    return FrameScores(np.log(probabilities).astype(np.float32), ("", "a", "b"), rate_hz)


def drawn(seed: int, num_frames: int) -> FrameScores:
    return scores_of(np.random.default_rng(seed).dirichlet(np.ones(3), num_frames))


def sure(path: str, certainty: float = 0.9) -> FrameScores:
    """Frames of which each is surely what stands there, `-` for none."""
    rest = (1 - certainty) / 2
    return scores_of(np.array([[certainty if sign == name else rest for name in "-ab"] for sign in path]))


def test_times_and_confidence_are_written_out() -> None:
    aligned = align_lyrics(sure("--aab--b-a-"), [["ab", "b"], ["a"]], letters_of)
    assert aligned == (
        AlignedLine((AlignedWord("ab", 0.2, 0.5, SURE), AlignedWord("b", 0.7, 0.8, SURE)), 0.2, 0.8),
        AlignedLine((AlignedWord("a", 0.9, 1.0, SURE),), 0.9, 1.0),
    )


def test_frames_between_a_words_symbols_count_for_its_confidence() -> None:
    """A silent frame within a word counts as well as a sung one, and one that another sound fills counts against it."""
    for path, expected in (("a-b", 0.9), ("abab", (0.9**3 * 0.05) ** (1 / 4))):
        word = align_lyrics(sure(path), [["ab"]], letters_of)[0].words[0]
        assert (word.start_s, word.end_s) == (0, len(path) / 10)
        assert word.confidence == pytest.approx(expected, rel=1e-5)


@given(
    seed=st.integers(0, 10_000),
    num_frames=st.integers(1, 6),
    words=st.lists(st.text("abx", min_size=1, max_size=2), min_size=1, max_size=3),
)
def test_words_are_on_the_likeliest_path_of_all(seed: int, num_frames: int, words: list[str]) -> None:
    scores = drawn(seed, num_frames)
    spelled = [["-ab".index(letter) for letter in letters] for letters in letters_of(words)]
    row = list(itertools.chain(*spelled))
    paths = [
        path
        for path in itertools.product((NONE, A, B), repeat=num_frames)
        if [symbol for symbol, _ in itertools.groupby(path) if symbol != NONE] == row
    ]
    if not row or not paths:
        with pytest.raises(ValueError, match=f"has a symbol|{num_frames} frames for"):
            align_lyrics(scores, [words], letters_of)
        return
    frames = np.arange(num_frames)
    best = max(paths, key=lambda path: float(scores.log_probabilities[frames, list(path)].sum()))
    runs = [(symbol, len(list(run))) for symbol, run in itertools.groupby(best)]
    ends = np.cumsum([length for _, length in runs]).tolist()
    spans = [(end - length, end) for (symbol, length), end in zip(runs, ends, strict=True) if symbol != NONE]
    aligned = align_lyrics(scores, [words], letters_of)[0].words
    for word, letters in zip(aligned, spelled, strict=True):
        own, spans = spans[: len(letters)], spans[len(letters) :]
        if own:
            assert (word.start_s, word.end_s) == (own[0][0] / 10, own[-1][1] / 10)
        else:
            assert word.confidence is None
    edges = [edge for word in aligned for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)


def test_words_without_symbols_share_the_gap_that_they_stand_in() -> None:
    aligned = align_lyrics(sure("-a----b--"), [["1", "a", "2", "3"], ["b", "4"]], letters_of)
    assert [(word.word, word.start_s, word.end_s) for line in aligned for word in line.words] == [
        ("1", 0.1, 0.1),
        ("a", 0.1, 0.2),
        ("2", 0.2, 0.4),
        ("3", 0.4, 0.6),
        ("b", 0.6, 0.7),
        ("4", 0.7, 0.7),
    ]
    assert [word.confidence is None for line in aligned for word in line.words] == [
        True,
        False,
        True,
        True,
        False,
        True,
    ]


def test_lines_without_words_have_no_length() -> None:
    assert align_lyrics(sure("-a-"), [[], ["a"], []], letters_of) == (
        AlignedLine((), 0.0, 0.0),
        AlignedLine((AlignedWord("a", 0.1, 0.2, SURE),), 0.1, 0.2),
        AlignedLine((), 0.2, 0.2),
    )
    assert align_lyrics(sure("-"), [[], []], letters_of) == (AlignedLine((), 0.0, 0.0),) * 2
    assert align_lyrics(sure("-"), [], letters_of) == ()


def test_what_cannot_be_sung_is_refused() -> None:
    with pytest.raises(ValueError, match=r"symbols \['c'\] are not the model's; expected some of \['', 'a', 'b'\]"):
        align_lyrics(sure("aa"), [["ac"]], lambda words: [tuple(word) for word in words])
    with pytest.raises(ValueError, match="2 frames for 2 symbols with 1 repeats"):
        align_lyrics(sure("aa"), [["aa"]], letters_of)
    with pytest.raises(ValueError, match=r"none of the words \['xyz'\]"):
        align_lyrics(sure("aa"), [["xyz"]], letters_of)
