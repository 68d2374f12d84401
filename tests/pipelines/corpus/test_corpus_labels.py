"""Heard words become lyrics, scores become tiers: checked against written-out cases and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.description import MusicalityTier
from levo.song.lyrics import parse_lyrics
from levo.song.scores import Score, missing_score
from levo.song.structure import SUNG_TAGS, StructureTag
from levo.song.timing import TimedSection, TimedWord
from pipelines.corpus.heard_lyrics import lyrics_of_words
from pipelines.corpus.tiers import musicality_tiers

WORDS = (
    TimedWord("red", 1.0, 1.4),
    TimedWord("moon", 1.4, 2.0),
    TimedWord("blue", 3.0, 3.3),
    TimedWord("sky", 6.1, 6.5),
)
SECTIONS = (
    TimedSection(StructureTag.INTRO_SHORT, 0.0, 1.3),
    TimedSection(StructureTag.VERSE, 1.3, 4.0),
    TimedSection(StructureTag.INST_SHORT, 4.0, 6.0),
    TimedSection(StructureTag.CHORUS, 6.0, 9.0),
)


def test_words_go_to_the_nearest_sung_section_and_pauses_end_lines() -> None:
    text = lyrics_of_words(WORDS, SECTIONS, 9.0).text
    assert text == "[intro-short] ; [verse] red moon. blue. ; [inst-short] ; [chorus] sky."


def test_without_sections_the_song_is_one_verse() -> None:
    assert lyrics_of_words(WORDS, (), 9.0).text == "[verse] red moon. blue. sky."
    assert lyrics_of_words(WORDS[:1], SECTIONS[:1], 9.0).text == "[verse] red."


@pytest.mark.parametrize(("duration_s", "tag"), [(9.9, "short"), (10.0, "medium"), (20.0, "medium"), (20.1, "long")])
def test_without_words_and_sections_the_song_is_instrumental(duration_s: float, tag: str) -> None:
    assert lyrics_of_words((), (), duration_s).text == f"[inst-{tag}]"


@given(
    st.lists(st.tuples(st.sampled_from(["moon", "star", "don't"]), st.floats(0, 2), st.floats(0.01, 1)), max_size=20),
    st.lists(st.sampled_from(StructureTag), max_size=5),
)
def test_every_heard_word_is_in_the_lyrics_in_order(
    heard: list[tuple[str, float, float]], tags: list[StructureTag]
) -> None:
    words, now_s = [], 0.0
    for word, pause_s, length_s in heard:
        words.append(TimedWord(word, now_s + pause_s, now_s + pause_s + length_s))
        now_s = words[-1].end_s
    borders = np.linspace(0, now_s + 1, len(tags) + 1)
    sections = [TimedSection(tag, borders[place], borders[place + 1]) for place, tag in enumerate(tags)]
    lyrics = lyrics_of_words(words, sections, now_s + 1)
    assert lyrics.words == tuple(word.word for word in words)
    assert parse_lyrics(lyrics.text) == lyrics
    if not words or any(tag in SUNG_TAGS for tag in tags):
        assert not tags or [section.tag for section in lyrics.sections] == tags


def test_tiers_are_fifths_with_the_best_first() -> None:
    scores = [Score(float(value)) for value in range(10)]
    tiers = [tier.value if tier else None for tier in musicality_tiers([*scores, missing_score("silent")])]
    names = ["very-low", "low", "medium", "high", "very-high"]
    assert tiers == [name for name in names for _ in range(2)] + [None]
    assert musicality_tiers([]) == []
    assert musicality_tiers([missing_score("silent")]) == [None]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_a_better_song_has_no_worse_tier(values: list[float]) -> None:
    order = list(MusicalityTier)
    tiers = [order.index(tier) for tier in musicality_tiers([Score(value) for value in values]) if tier is not None]
    for value, tier in zip(values, tiers, strict=True):
        for other, other_tier in zip(values, tiers, strict=True):
            assert value < other or tier <= other_tier
