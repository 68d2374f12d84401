"""One axis of a judge of aesthetics as the musicality of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from levo.song.digest import digest_json
from levo.song.scores import Score
from levo.song.waveform import Waveform
from reward.aesthetics.axes import AestheticsJudge


@dataclass(frozen=True)
class AxisReward:
    """A `MusicalityReward` in the judge's own points; ranks and quantiles of it mean the same in any unit."""

    judge: AestheticsJudge
    axis: str

    def __post_init__(self) -> None:
        if self.axis not in self.judge.metrics:
            raise ValueError(f"axis is {self.axis!r}; expected one of {', '.join(self.judge.metrics)}")

    @cached_property
    def digest(self) -> str:
        """Judge and axis."""
        return digest_json({"reward": "axis", "judge": self.judge.digest, "axis": self.axis})

    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        """One score a song."""
        return [scores[self.axis] for scores in self.judge.judge(songs)]
