"""What a structure labeller is, and how the seven kinds it hears become LeVo's thirteen tags."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from levo.song.structure import StructureTag
from levo.song.timing import TimedSection, TimedWord
from levo.song.waveform import Waveform

SHORT_BELOW_S = 10.0
MEDIUM_UP_TO_S = 20.0


class SectionKind(StrEnum):
    """SongPrep's seven kinds of section."""

    INTRO = "intro"
    OUTRO = "outro"
    INST = "inst"
    VERSE = "verse"
    CHORUS = "chorus"
    BRIDGE = "bridge"
    SILENCE = "silence"


_SIZED = frozenset({SectionKind.INTRO, SectionKind.OUTRO, SectionKind.INST})


class StructureLabeller(Protocol):
    """Finds a song's sections; they follow each other without a gap from its start to its end."""

    @property
    def digest(self) -> str:
        """Names the method and its parameters or weights: the same digest gives the same sections."""
        ...

    def label(self, mixture: Waveform, vocal: Waveform | None) -> tuple[TimedSection, ...]:
        """Sections in order; the vocal, where given, says what is sung.

        Silence is one `[silence]`. Raises `ValueError` where the mixture is empty, too short, or not finite, or the
        vocal is of another length.
        """
        ...


def structure_tag(kind: SectionKind, duration_s: float) -> StructureTag:
    """LeVo's tag: intros, outros and interludes say how long they are (short, medium from 10 s, long above 20 s)."""
    if kind not in _SIZED:
        return StructureTag(kind.value)
    size = "short" if duration_s < SHORT_BELOW_S else "medium" if duration_s <= MEDIUM_UP_TO_S else "long"
    return StructureTag(f"{kind.value}-{size}")


def section_kind(tag: StructureTag) -> SectionKind:
    """The kind of a tag, whatever its length."""
    return SectionKind(tag.value.split("-")[0])


def songprep_text(sections: Sequence[TimedSection], words: Sequence[TimedWord] = ()) -> str:
    """SongPrep's line (arXiv 2509.17404): `[intro][0.00:3.20] ; [verse][3.20:12.80]red moon`, in seconds.

    A word belongs to the section that its middle lies in.
    """
    return " ; ".join(
        f"[{section_kind(section.tag)}][{section.start_s:.2f}:{section.end_s:.2f}]{_sung_in(section, words)}"
        for section in sections
    )


def _sung_in(section: TimedSection, words: Sequence[TimedWord]) -> str:
    middles = ((word.word, (word.start_s + word.end_s) / 2) for word in words)
    return " ".join(word for word, middle_s in middles if section.start_s <= middle_s < section.end_s)
