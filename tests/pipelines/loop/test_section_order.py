"""Section order, against a slow twin that tries every stretch."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.loop.section_order import earliest_end, sections_in_order
from reward.phoneme_error import phoneme_errors

_PHONEMES = st.lists(st.sampled_from("abc"), max_size=8)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), _PHONEMES)
def test_the_earliest_end_is_that_of_the_first_stretch_that_is_good_enough_and_no_better_when_longer(
    section: list[str], heard: list[str]
) -> None:
    best = [min(_edits(section, heard[start:end]) for start in range(end + 1)) for end in range(len(heard) + 1)]
    good = [end for end, edits in enumerate(best) if edits <= len(section) / 2]
    expected = good[0] if good else None
    while expected is not None and expected < len(heard) and best[expected + 1] <= best[expected]:
        expected += 1
    assert earliest_end(section, heard) == expected


def test_one_singing_does_not_count_for_two_sections() -> None:
    chorus = list("ddeedd")
    assert not sections_in_order([chorus, chorus], chorus)
    assert sections_in_order([chorus, chorus], chorus + chorus)


def _edits(section: list[str], stretch: list[str]) -> int:
    errors = phoneme_errors(section, stretch)
    return errors.num_substitutions + errors.num_insertions + errors.num_deletions


def test_a_chorus_that_comes_again_and_better_hides_no_verse_before_it() -> None:
    verse, other, chorus = list("abcabc"), list("fgfgfg"), list("ddeedd")
    sections = [verse, chorus, other, chorus]
    assert sections_in_order(sections, verse + list("ddeedx") + other + chorus)
    assert not sections_in_order(sections, verse + chorus + other)


def test_sections_that_are_swapped_are_out_of_order() -> None:
    verse, chorus = list("abcabc"), list("ddeedd")
    assert sections_in_order([verse, chorus], verse + chorus)
    assert not sections_in_order([verse, chorus], chorus + verse)


def test_a_section_that_is_not_sung_is_out_of_order() -> None:
    assert not sections_in_order([list("abcabc"), list("ddeedd")], list("abcabc"))


def test_a_song_without_sections_has_nothing_out_of_order() -> None:
    assert sections_in_order([], list("abc"))
