"""Lyrics in the released format, `[verse] line. line ; [chorus] line`, parsed with errors that name line and column."""

import re
import unicodedata
from dataclasses import dataclass

from levo.song.structure import SUNG_TAGS, StructureTag

_TAG = re.compile(r"\[([^\]\[;]*)\]")
_SECTION_BREAK = " ; "


class LyricsError(ValueError):
    """Lyrics that do not follow the format; `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"lyrics, line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[type["LyricsError"], tuple[str, int, int]]:
        return LyricsError, (self.problem, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its kind, and its lines (none where nothing is sung)."""

    tag: StructureTag
    lines: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The section's words in order, lower-cased, without punctuation."""
        return tuple(word for line in self.lines for word in words_of(line))


@dataclass(frozen=True, slots=True)
class Lyrics:
    """A song's sections in order."""

    sections: tuple[Section, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All words in order, lower-cased, without punctuation."""
        return tuple(word for section in self.sections for word in section.words)

    @property
    def text(self) -> str:
        """The released format; `parse_lyrics` reads it back to an equal record."""
        return _SECTION_BREAK.join(_section_text(section) for section in self.sections)


def words_of(line: str) -> tuple[str, ...]:
    """A line's words, lower-cased; apostrophes stay, all other punctuation goes."""
    spaced = "".join(sign if _is_in_word(sign) else " " for sign in unicodedata.normalize("NFC", line.lower()))
    return tuple(word for piece in spaced.split() if (word := piece.strip("'")))


def _is_in_word(sign: str) -> bool:
    """Letters, digits and the marks that some scripts write on them; and the apostrophe, which words keep inside."""
    return unicodedata.category(sign)[0] in "LNM" or sign == "'"


def parse_lyrics(text: str) -> Lyrics:
    """Read the released format.

    Sections are separated by `;`, each opens with one of the thirteen tags, and sentences end with a full stop.
    Raises `LyricsError` at the first place that breaks the format.
    """
    if not text.strip():
        raise LyricsError("no text; expected at least one section such as '[verse] a line.'", 1, 1)
    sections: list[Section] = []
    start = 0
    for part in text.split(";"):
        sections.append(_parse_section(text, part, start))
        start += len(part) + 1
    return Lyrics(tuple(sections))


def _parse_section(text: str, part: str, start: int) -> Section:
    body_start = start + len(part) - len(part.lstrip())
    body = part.strip()
    if not body:
        raise _error(text, body_start, "an empty section; expected a tag such as '[verse]' between semicolons")
    match = _TAG.match(body)
    if match is None:
        known = ", ".join(tag.token for tag in StructureTag)
        raise _error(text, body_start, f"section starts with {body[:20]!r}; expected one of {known}")
    try:
        tag = StructureTag(match[1])
    except ValueError:
        known = ", ".join(tag.token for tag in StructureTag)
        raise _error(text, body_start, f"unknown structure tag {match[0]!r}; expected one of {known}") from None
    words_start = body_start + match.end()
    words = body[match.end() :]
    extra = _TAG.search(words)
    if extra is not None:
        raise _error(
            text, words_start + extra.start(), f"a second tag {extra[0]!r} in one section; put ' ; ' before it"
        )
    lines = tuple(line for line in (piece.strip() for piece in words.split(".")) if line)
    if lines and tag not in SUNG_TAGS:
        offset = words_start + len(words) - len(words.lstrip())
        sung = ", ".join(sorted(tag.token for tag in SUNG_TAGS))
        raise _error(text, offset, f"text {lines[0]!r} in {tag.token}, which is instrumental; only {sung} carry text")
    return Section(tag, lines)


def _error(text: str, offset: int, problem: str) -> LyricsError:
    before = text[:offset]
    return LyricsError(problem, before.count("\n") + 1, offset - before.rfind("\n"))


def _section_text(section: Section) -> str:
    if not section.lines:
        return section.tag.token
    return f"{section.tag.token} {'. '.join(section.lines)}."
