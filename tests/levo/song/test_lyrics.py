"""Lyrics are read as the released format has them, and errors name the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.lyrics import Lyrics, LyricsError, Section, parse_lyrics, words_of
from levo.song.structure import SUNG_TAGS, StructureTag

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
LINES = st.lists(st.tuples(WORDS, st.sampled_from(["", ",", "!", "'s", "?"])), min_size=1, max_size=4).map(
    lambda words: " ".join(word + mark for word, mark in words)
)
SUNG = st.builds(Section, st.sampled_from(sorted(SUNG_TAGS)), st.lists(LINES, max_size=3).map(tuple))
UNSUNG = st.builds(Section, st.sampled_from(sorted(set(StructureTag) - SUNG_TAGS)))
LYRICS = st.builds(Lyrics, st.lists(SUNG | UNSUNG, min_size=1, max_size=5).map(tuple))


@given(LYRICS)
def test_what_is_written_is_read_back(lyrics: Lyrics) -> None:
    assert parse_lyrics(lyrics.text) == lyrics


@given(LYRICS, st.data())
def test_spaces_and_line_breaks_between_sections_mean_nothing(lyrics: Lyrics, data: st.DataObject) -> None:
    space = st.text(" \t\n", max_size=3)
    parts = lyrics.text.split(" ; ")
    text = ";".join(data.draw(space) + part + data.draw(space) for part in parts)
    assert parse_lyrics(text) == lyrics


@given(LYRICS, LYRICS, st.sampled_from(["[hook]", "[Verse]", "[]", "verse", "[verse"]))
def test_an_error_names_the_place_of_the_first_bad_section(before: Lyrics, after: Lyrics, bad: str) -> None:
    head = before.text + " ;\n  "
    with pytest.raises(LyricsError) as error:
        parse_lyrics(f"{head}{bad} ; {after.text}")
    line = head.count("\n") + 1
    assert (error.value.line, error.value.column) == (line, 3)
    assert f"line {line}, column 3" in str(error.value)


@given(st.text("[]vers ;.\n'", max_size=30))
def test_any_text_is_lyrics_or_a_lyrics_error_inside_it(text: str) -> None:
    try:
        lyrics = parse_lyrics(text)
    except LyricsError as error:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)  # noqa: PT017
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1  # noqa: PT017
    else:
        assert parse_lyrics(lyrics.text) == lyrics


def test_the_documented_example_is_read() -> None:
    lyrics = parse_lyrics("[intro-short] ; [verse] Red moon, rising. Don't go ; [chorus]")
    assert lyrics.sections == (
        Section(StructureTag.INTRO_SHORT),
        Section(StructureTag.VERSE, ("Red moon, rising", "Don't go")),
        Section(StructureTag.CHORUS),
    )
    assert lyrics.words == ("red", "moon", "rising", "don't", "go")
    assert lyrics.text == "[intro-short] ; [verse] Red moon, rising. Don't go. ; [chorus]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: no text"),
        (" \n ", "line 1, column 1: no text"),
        ("red moon.", r"line 1, column 1: section starts with 'red moon\.'; expected one of \[verse\], \[chorus\]"),
        ("[verse] a. ; ", "line 1, column 14: an empty section"),
        ("[verse] a.\n; [hook] b.", r"line 2, column 3: unknown structure tag '\[hook\]'"),
        ("[verse] a [chorus] b.", r"line 1, column 11: a second tag '\[chorus\]' in one section; put ' ; ' before it"),
        ("[outro-long]  la.", r"line 1, column 15: text 'la' in \[outro-long\], which is instrumental"),
        ("[silence] la.", r"only \[bridge\], \[chorus\], \[verse\] carry text"),
    ],
)
def test_a_mistake_is_explained(text: str, problem: str) -> None:
    with pytest.raises(LyricsError, match=problem):
        parse_lyrics(text)


@pytest.mark.parametrize("tag", StructureTag)
def test_only_verse_chorus_and_bridge_carry_text(tag: StructureTag) -> None:
    assert parse_lyrics(tag.token).sections == (Section(tag),)
    if tag.is_sung:
        assert parse_lyrics(f"{tag.token} la.").words == ("la",)
    else:
        with pytest.raises(LyricsError, match="which is instrumental"):
            parse_lyrics(f"{tag.token} la.")


def test_the_tags_stand_in_the_released_order() -> None:
    lengths = ("short", "medium", "long")
    sized = [f"{kind}-{length}" for kind in ("intro", "outro", "inst") for length in lengths]
    assert [tag.value for tag in StructureTag] == ["verse", "chorus", "bridge", *sized, "silence"]


@given(st.lists(WORDS.filter(lambda word: word.lower().isalnum()), max_size=5))
def test_words_survive_any_punctuation(words: list[str]) -> None:
    assert words_of("... ".join(words) + " - !") == tuple(word.lower() for word in words)
