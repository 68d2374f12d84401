"""Section order, against a slow twin that tries every stretch."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.loop.section_order import find_section, sections_in_order
from reward.phoneme_error import phoneme_errors

_PHONEMES = st.lists(st.sampled_from("abc"), max_size=8)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), _PHONEMES)
def test_the_best_stretch_has_as_few_edits_as_any_stretch(section: list[str], heard: list[str]) -> None:
    stretches = [heard[start:end] for start in range(len(heard) + 1) for end in range(start, len(heard) + 1)]
    fewest = min(
        errors.num_substitutions + errors.num_insertions + errors.num_deletions
        for errors in (phoneme_errors(section, stretch) for stretch in stretches)
    )
    assert find_section(section, heard).error_rate == fewest / len(section)


def test_sections_that_are_swapped_are_out_of_order() -> None:
    verse, chorus = list("abcabc"), list("ddeedd")
    assert sections_in_order([verse, chorus], verse + chorus)
    assert not sections_in_order([verse, chorus], chorus + verse)


def test_a_section_that_is_not_sung_is_out_of_order() -> None:
    assert not sections_in_order([list("abcabc"), list("ddeedd")], list("abcabc"))


def test_a_song_without_sections_has_nothing_out_of_order() -> None:
    assert sections_in_order([], list("abc"))
