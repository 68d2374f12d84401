"""A song's token grid: three streams of codes, mixed, vocal and accompaniment, at one frame rate."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Int32

from levo.song.arrays import Array

FRAME_RATE_HZ = 25


class Stream(IntEnum):
    """A row of the token grid."""

    MIXED = 0
    VOCAL = 1
    ACCOMPANIMENT = 2


NUM_STREAMS = len(Stream)


@dataclass(frozen=True, slots=True, eq=False)
class TokenGrid:
    """Codes of one song, in the streams' order; codes are counted from 0 within each stream."""

    codes: Int32[Array, "stream frame"]
    frame_rate_hz: int = FRAME_RATE_HZ

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.shape[0] != NUM_STREAMS:
            raise ValueError(f"codes have shape {self.codes.shape}; expected [{NUM_STREAMS}, frames]")
        if self.codes.dtype != np.int32:
            raise ValueError(f"codes are {self.codes.dtype}; expected int32")

    @property
    def num_frames(self) -> int:
        """Frames in each stream."""
        return int(self.codes.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.frame_rate_hz

    def window(self, start_frame: int, num_frames: int) -> "TokenGrid":
        """A part of the song, cut at its end where it reaches past it."""
        return TokenGrid(
            np.ascontiguousarray(self.codes[:, start_frame : start_frame + num_frames]), self.frame_rate_hz
        )
