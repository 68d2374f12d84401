"""What a tagger is: a song's stems go in, style tags with confidences come out."""

from dataclasses import dataclass
from typing import Protocol

from levo.codec.stems import Stems


@dataclass(frozen=True, slots=True)
class TagEstimate:
    """One attribute's tag, and how sure it is (0 to 1)."""

    tag: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Tags:
    """What can be heard of each attribute; none where there is nothing to hear it by."""

    voice: TagEstimate | None
    tempo: TagEstimate | None
    instrument: TagEstimate | None
    mood: TagEstimate | None
    drums: TagEstimate | None
    tempo_bpm: float | None
    timbre: TagEstimate | None = None
    genre: TagEstimate | None = None
    more_instruments: tuple[TagEstimate, ...] = ()
    register: TagEstimate | None = None

    @property
    def description_tags(self) -> tuple[str, ...]:
        """The tags that are there, in a description's order."""
        instruments = (self.instrument, *self.more_instruments)
        estimates = (
            self.voice,
            self.register,
            self.timbre,
            self.genre,
            self.tempo,
            *instruments,
            self.mood,
            self.drums,
        )
        return tuple(estimate.tag for estimate in estimates if estimate is not None)


NO_TAGS = Tags(None, None, None, None, None, None)
"""What silence gives."""


class Tagger(Protocol):
    """Hears style tags; stems without sound give `NO_TAGS`."""

    @property
    def digest(self) -> str:
        """Names the method and what it was fitted on: the same digest gives the same tags."""
        ...

    def tag(self, stems: Stems) -> Tags:
        """Tags of a song; raises `ValueError` where a stem is empty, too short, or not finite."""
        ...
