"""What a judge of aesthetics is: songs to one score an axis."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from levo.song.scores import Metric, Score
from levo.song.waveform import Waveform

AUDIOBOX_AXES = {
    "CE": "content enjoyment",
    "CU": "content usefulness",
    "PC": "production complexity",
    "PQ": "production quality",
}
SONG_EVAL_AXES = {
    "COH": "overall coherence",
    "MUS": "overall musicality",
    "MEM": "memorability",
    "CLA": "clarity of song structure",
    "NAT": "naturalness of vocal breathing and phrasing",
}


class AestheticsJudge(Protocol):
    """Scores by axis, higher is better; a song that cannot be heard misses all of them, with the reason."""

    @property
    def digest(self) -> str:
        """Names the weights; equal digests score alike."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What each axis is called and counted in."""
        ...

    def judge(self, songs: Sequence[Waveform]) -> list[Mapping[str, Score]]:
        """One score an axis for each song; it does not depend on the songs beside it."""
        ...
