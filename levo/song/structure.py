"""The thirteen structure tags of the released lyric format, and which of them carry sung text."""

from enum import StrEnum


class StructureTag(StrEnum):
    """A section's kind, in the order of the released vocabulary (its ids follow this order)."""

    VERSE = "verse"
    CHORUS = "chorus"
    BRIDGE = "bridge"
    INTRO_SHORT = "intro-short"
    INTRO_MEDIUM = "intro-medium"
    INTRO_LONG = "intro-long"
    OUTRO_SHORT = "outro-short"
    OUTRO_MEDIUM = "outro-medium"
    OUTRO_LONG = "outro-long"
    INST_SHORT = "inst-short"
    INST_MEDIUM = "inst-medium"
    INST_LONG = "inst-long"
    SILENCE = "silence"

    @property
    def token(self) -> str:
        """The tag as it stands in lyrics: `[verse]`."""
        return f"[{self.value}]"

    @property
    def is_sung(self) -> bool:
        """Whether sections of this kind carry text."""
        return self in SUNG_TAGS


SUNG_TAGS = frozenset({StructureTag.VERSE, StructureTag.CHORUS, StructureTag.BRIDGE})
