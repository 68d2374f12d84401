"""What a musicality judge is: songs to one number each, higher is better."""

from collections.abc import Sequence
from typing import Protocol

from levo.song.scores import Metric, Score
from levo.song.waveform import Waveform

MUSICALITY_METRIC = Metric("musicality", "higher", "standard deviations of clean songs", "training")


class MusicalityReward(Protocol):
    """Scores in standard deviations of clean songs, whose mean is 0; a song that cannot be heard has none."""

    @property
    def digest(self) -> str:
        """Names the weights; equal digests score alike."""
        ...

    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        """One score a song; it does not depend on the songs beside it."""
        ...
