"""What a recogniser is: songs to phonemes and words with their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from levo.song.timing import TimedPhoneme, TimedWord
from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one song, in order of time.

    `confidence` lies in 0 ... 1 and compares songs of one recogniser only; a song in which nothing is heard has no
    phonemes and no words. `language` is a code such as `en`, None where the recogniser knows one language alone;
    `num_cut` counts words that were taken out because the decoder had fallen into a loop.
    """

    phonemes: tuple[TimedPhoneme, ...]
    words: tuple[TimedWord, ...]
    confidence: float
    language: str | None = None
    num_cut: int = 0

    @property
    def phoneme_names(self) -> tuple[str, ...]:
        """The phonemes without their times."""
        return tuple(item.phoneme for item in self.phonemes)

    @property
    def word_names(self) -> tuple[str, ...]:
        """The words without their times."""
        return tuple(item.word for item in self.words)


class Recogniser(Protocol):
    """Songs -> transcripts; a song's transcript does not depend on the songs that are heard with it."""

    @property
    def digest(self) -> str:
        """Names the weights and settings; equal digests hear alike."""
        ...

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        """One transcript a song. `ValueError` for empty or non-finite audio."""
        ...
