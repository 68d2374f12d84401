"""Lyrics in the released format from what was heard: timed words laid into timed sections."""

from collections.abc import Sequence

from levo.song.lyrics import Lyrics, Section
from levo.song.structure import SUNG_TAGS, StructureTag
from levo.song.timing import TimedSection, TimedWord
from pipelines.corpus.records import TranscribedSong

LINE_GAP_S = 0.35


def timed_words(song: TranscribedSong) -> tuple[TimedWord, ...]:
    """The given lyrics' words where they were aligned, else those that were heard."""
    if song.aligned_lines is None:
        return song.heard_words or ()
    words = (word for line in song.aligned_lines for word in line.words)
    return tuple(TimedWord(word.word, word.start_s, word.end_s) for word in words)


def trusted_words(song: TranscribedSong) -> tuple[TimedWord, ...]:
    """What was heard, without the lines on which two recognisers do not agree: those wait for a person."""
    words = song.heard_words or ()
    doubtful = [line for line in song.heard_lines or () if line.needs_review]
    return tuple(
        word
        for word in words
        if not any(line.start_s <= (word.start_s + word.end_s) / 2 <= line.end_s for line in doubtful)
    )


def lyrics_of_words(words: Sequence[TimedWord], sections: Sequence[TimedSection], duration_s: float) -> Lyrics:
    """Each word goes to the sung section nearest to its middle; a pause of `LINE_GAP_S` ends a line.

    Without sections, or where words were heard and none is sung, the whole song is one verse; without words and
    sections it is one instrumental section of its length.
    """
    if not sections:
        whole = StructureTag.VERSE if words else _instrumental_tag(duration_s)
        sections = (TimedSection(whole, 0.0, duration_s),)
    elif words and not any(section.tag in SUNG_TAGS for section in sections):
        sections = (TimedSection(StructureTag.VERSE, 0.0, duration_s),)
    of_section: dict[int, list[TimedWord]] = {place: [] for place in range(len(sections))}
    for word in words:
        of_section[_nearest_sung(word, sections)].append(word)
    return Lyrics(tuple(Section(section.tag, _lines(of_section[place])) for place, section in enumerate(sections)))


def _nearest_sung(word: TimedWord, sections: Sequence[TimedSection]) -> int:
    middle_s = (word.start_s + word.end_s) / 2
    sung = [place for place, section in enumerate(sections) if section.tag in SUNG_TAGS]
    return min(sung, key=lambda place: max(sections[place].start_s - middle_s, middle_s - sections[place].end_s, 0.0))


def _lines(words: Sequence[TimedWord]) -> tuple[str, ...]:
    lines: list[list[str]] = []
    end_s = float("-inf")
    for word in words:
        if word.start_s - end_s >= LINE_GAP_S:
            lines.append([])
        lines[-1].append(word.word)
        end_s = word.end_s
    return tuple(" ".join(line) for line in lines)


def _instrumental_tag(duration_s: float) -> StructureTag:
    if duration_s < 10:
        return StructureTag.INST_SHORT
    return StructureTag.INST_MEDIUM if duration_s <= 20 else StructureTag.INST_LONG
