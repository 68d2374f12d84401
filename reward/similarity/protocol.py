"""What a similarity judge is: songs against descriptions, and songs against other songs."""

from collections.abc import Sequence
from typing import Protocol

from levo.song.description import Description
from levo.song.scores import Metric, Score
from levo.song.waveform import Waveform

TEXT_METRIC = Metric("similarity_to_text", "higher", "cosine", "training")
PROMPT_METRIC = Metric("similarity_to_prompt", "higher", "cosine", "training")


class TextMusicSimilarity(Protocol):
    """Cosines in [-1, 1]; a song that is too short, silent or not finite has a missing score with its reason."""

    @property
    def digest(self) -> str:
        """Names the weights; equal digests score alike."""
        ...

    def similarity_to_text(self, songs: Sequence[Waveform], descriptions: Sequence[Description]) -> list[Score]:
        """How well each song fits its own description. `ValueError` where the two differ in number."""
        ...

    def similarity_to_audio(self, songs: Sequence[Waveform], prompts: Sequence[Waveform]) -> list[Score]:
        """How alike each song and its own prompt (2 s or more) sound. `ValueError` where the two differ in number."""
        ...
