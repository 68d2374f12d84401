import itertools
from functools import cache

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward.phoneme_error import corpus_phoneme_errors, phoneme_error_rate, phoneme_error_score, phoneme_errors

PHONEMES = st.lists(st.sampled_from(["AH", "B", "IY", "S"]), max_size=9)


def slow_distance(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    @cache
    def cost(row: int, column: int) -> int:
        if row == 0 or column == 0:
            return row + column
        swap = cost(row - 1, column - 1) + (reference[row - 1] != hypothesis[column - 1])
        return min(swap, cost(row - 1, column) + 1, cost(row, column - 1) + 1)

    return cost(len(reference), len(hypothesis))


@given(PHONEMES, PHONEMES)
def test_the_errors_are_the_levenshtein_distance_and_their_split_fits_the_lengths(
    reference: list[str], hypothesis: list[str]
) -> None:
    errors = phoneme_errors(reference, hypothesis)
    assert errors.num_errors == slow_distance(tuple(reference), tuple(hypothesis))
    assert errors.num_insertions - errors.num_deletions == len(hypothesis) - len(reference)
    assert errors.num_substitutions + errors.num_deletions <= len(reference)


@given(PHONEMES.filter(len), PHONEMES)
def test_the_rate_is_jiwers_word_error_rate_over_phonemes(reference: list[str], hypothesis: list[str]) -> None:
    theirs = jiwer.wer(" ".join(reference), " ".join(hypothesis))
    assert phoneme_error_rate(reference, hypothesis) == pytest.approx(theirs)


def test_every_short_pair_over_two_phonemes_agrees_with_brute_force() -> None:
    words = [word for length in range(4) for word in itertools.product("ab", repeat=length)]
    for reference, hypothesis in itertools.product(words, words):
        assert phoneme_errors(reference, hypothesis).num_errors == slow_distance(reference, hypothesis)


def test_written_out_edits_are_counted_by_kind() -> None:
    one_of_each = phoneme_errors(list("ABCDEF"), list("AXCEFG"))
    assert (one_of_each.num_substitutions, one_of_each.num_deletions, one_of_each.num_insertions) == (1, 1, 1)
    assert one_of_each.rate == 3 / 6


def test_an_empty_reference_is_perfect_when_nothing_is_heard_and_has_no_score() -> None:
    assert phoneme_error_rate([], []) == 0.0
    assert phoneme_error_rate([], ["AH", "B"]) == 2.0
    assert phoneme_error_rate(["AH", "B"], []) == 1.0
    assert phoneme_error_score([], ["AH"]).missing == "no phonemes in the lyrics"
    assert phoneme_error_score(["AH"], ["AH"]).value == 0.0


def test_pooling_weighs_songs_by_length_and_the_mean_does_not() -> None:
    report = corpus_phoneme_errors([(["A"], ["B"]), (["A"] * 9, ["A"] * 9)])
    assert report.pooled.rate == 1 / 10
    assert report.mean_rate == 1 / 2
    assert [song.num_errors for song in report.songs] == [1, 0]
