"""Ranked versions of a song, best first: what a musicality reward learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class RankedSong:
    """Versions of one song, of one length, each more musical than all that follow it."""

    song_id: str
    versions: tuple[Waveform, ...]

    def __post_init__(self) -> None:
        if len(self.versions) < 2:
            raise ValueError(f"song {self.song_id} has {len(self.versions)} versions; ranking needs 2 or more")
        lengths = sorted({version.num_samples for version in self.versions})
        if len(lengths) > 1:
            raise ValueError(f"song {self.song_id} has versions of {lengths} samples; expected one length")


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How often a judge puts two versions of one song in their true order; equal scores count half."""

    accuracy: float
    neighbour_accuracy: float
    num_pairs: int


def pair_agreement(scores: Sequence[Sequence[float]]) -> PairAgreement:
    """Agreement of scores (a row a song, best version first, higher is better) with the true order.

    `neighbour_accuracy` counts versions one step apart only, the hardest pairs. Raises `ValueError` without any pair.
    """
    every = [
        (later - earlier, _in_order(row[earlier], row[later]))
        for row in scores
        for earlier in range(len(row))
        for later in range(earlier + 1, len(row))
    ]
    if not every:
        raise ValueError(f"{len(scores)} songs hold no pair of versions; nothing to agree on")
    neighbours = [right for step, right in every if step == 1]
    return PairAgreement(sum(right for _, right in every) / len(every), sum(neighbours) / len(neighbours), len(every))


def _in_order(better: float, worse: float) -> float:
    return 0.5 if better == worse else float(better > worse)
