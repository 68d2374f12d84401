"""A track through a model that hears a few seconds at once: batches of segments, overlapped and added."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

MAX_SHIFT_S = 0.5


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a track: from `start`, so long; the model hears the `context` samples around it."""

    start: int
    length: int
    context: int


def overlapped(
    track: Float32[Tensor, "channel sample"],
    segment: int,
    overlap: float,
    batch_segments: int,
    model: Callable[[Float32[Tensor, "segment channel sample"]], Float32[Tensor, "segment source channel sample"]],
    start: int = 0,
) -> Float32[Tensor, "source channel sample"]:
    """What a model makes of a track from `start` on, in segments of `segment` samples.

    Segments follow each other at `1 - overlap` of their length and are added with triangular weights, highest in
    their middle (Demucs' `apply_model`). A segment shorter than that has the sound around it on both sides, the
    track's own where there is some. All are equally long for the model, so that batches are full.
    """
    length = track.shape[-1] - start
    # A triangle, as Demucs lays it: 1, 2, ... in the first half, and down again.
    rise, fall = segment // 2, segment - segment // 2
    weight = torch.cat([torch.arange(1, rise + 1), torch.arange(fall, 0, -1)]).float()
    weight /= weight.max()
    total: Tensor | None = None
    sum_of_weights = torch.zeros(length)
    parts = iter(_segments(start, track.shape[-1], segment, overlap))
    while batch := list(islice(parts, batch_segments)):
        heard = torch.stack([_with_context(track, part) for part in batch])
        for part, made in zip(batch, model(heard), strict=True):
            if total is None:
                total = torch.zeros(*made.shape[:-1], length)
            left = (part.context - part.length) // 2
            place = slice(part.start - start, part.start - start + part.length)
            total[..., place] += weight[: part.length] * made[..., left : left + part.length]
            sum_of_weights[place] += weight[: part.length]
    assert total is not None
    return total / sum_of_weights


def shifted(
    track: Float32[Tensor, "channel sample"],
    shifts: list[int],
    max_shift: int,
    separate: Callable[[Tensor, int], Float32[Tensor, "source channel sample"]],
) -> Float32[Tensor, "source channel sample"]:
    """The mean over shifted tracks: `separate(padded, start)` hears the track moved by `max_shift - start` samples."""
    padded = functional.pad(track, (max_shift, max_shift))
    length = track.shape[-1]
    total = torch.zeros(())
    for shift in shifts:
        made = separate(padded[..., : length + max_shift], shift)
        total = total + made[..., max_shift - shift :]
    return total / len(shifts)


def _segments(start: int, end: int, segment: int, overlap: float) -> Iterator[Segment]:
    for place in range(start, end, int((1 - overlap) * segment)):
        yield Segment(place, min(segment, end - place), segment)


def _with_context(track: Tensor, part: Segment) -> Tensor:
    first = part.start - (part.context - part.length) // 2
    last = first + part.context
    inside = track[..., max(first, 0) : min(last, track.shape[-1])]
    return functional.pad(inside, (max(-first, 0), max(last - track.shape[-1], 0)))
