"""What sounds when: phonemes, words and sections with their times in seconds."""

from dataclasses import dataclass

from levo.song.structure import StructureTag


@dataclass(frozen=True, slots=True)
class TimedPhoneme:
    """One phoneme and the span that it is heard in."""

    phoneme: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedWord:
    """One word and the span that it is heard in."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedSection:
    """One section and its span."""

    tag: StructureTag
    start_s: float
    end_s: float
