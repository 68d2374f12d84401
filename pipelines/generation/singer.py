"""Who sings the orders: an engine in this process, or a service."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from levo.model.conditions import Conditions
from levo.model.sampling.request import SampledSong
from levo.release.layout import TextRules
from levo.song.tokens import FRAME_RATE_HZ


class GenerationError(ValueError):
    """Settings that do not fit the model or the codec."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What orders must know of the model that sings them; `rules` are those of a release's texts."""

    digest: str
    code_size: int
    max_frames: int
    max_prompt_frames: int
    rules: TextRules | None = None

    def frames_of(self, duration_s: float | None) -> int:
        """The longest song that is asked for; raises `GenerationError` where the model takes no such song."""
        if duration_s is None:
            return self.max_frames
        num_frames = round(duration_s * FRAME_RATE_HZ)
        if not 1 <= num_frames <= self.max_frames:
            raise GenerationError(
                f"max_duration_s is {duration_s:g}; this model takes {1 / FRAME_RATE_HZ:g} to "
                f"{self.max_frames / FRAME_RATE_HZ:g} s"
            )
        return num_frames


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A song to sing: its order's name, its conditions and its seed."""

    idx: str
    conditions: Conditions
    seed: int


class Singer(Protocol):
    """Sings what is asked for; songs come as they are finished."""

    @property
    def facts(self) -> ModelFacts:
        """The model."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What beside the model, the conditions and the seed decides a song."""
        ...

    def sing(self, asked: Iterable[Asked]) -> Iterator[tuple[str, SampledSong | str]]:
        """Each order's name with its song, or with the reason why it has none."""
        ...
