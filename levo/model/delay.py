"""The delay pattern: streams 1 and 2 are written later than stream 0, and so predicted with its future in sight."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class EndedCodes:
    """Codes with their end of song: `mask` is true up to and including the end token."""

    codes: Int[Tensor, "row stream frame"]
    mask: Bool[Tensor, "row stream frame"]


def place_end_of_song(
    codes: Int[Tensor, "row stream frame"], num_frames: Int[Tensor, " row"], end_id: int, special_id: int
) -> EndedCodes:
    """Write the end token behind each row's last frame, in all streams, and the special code behind it.

    One frame is added where the longest row fills the tensor.
    """
    if int(num_frames.max()) >= codes.shape[-1]:
        codes = torch.nn.functional.pad(codes, (0, 1))
    frame = torch.arange(codes.shape[-1], device=codes.device)
    last = num_frames[:, None, None]
    ended = codes.masked_fill(frame == last, end_id).masked_fill(frame > last, special_id)
    return EndedCodes(ended, (frame <= last).expand_as(codes))


def interleave(
    codes: Int[Tensor, "row stream frame"], delays: Sequence[int], special_id: int
) -> Int[Tensor, "row stream position"]:
    """Position 1 + delay + t of a stream holds its code t; every other position is special."""
    num_rows, num_streams, num_frames = codes.shape
    sequence = codes.new_full((num_rows, num_streams, 1 + num_frames + max(delays)), special_id)
    for stream, delay in enumerate(delays):
        sequence[:, stream, 1 + delay : 1 + delay + num_frames] = codes[:, stream]
    return sequence


def revert(sequence: Int[Tensor, "row stream position"], delays: Sequence[int]) -> Int[Tensor, "row stream frame"]:
    """The codes that `interleave` wrote."""
    num_frames = sequence.shape[-1] - 1 - max(delays)
    return torch.stack(
        [sequence[:, stream, 1 + delay : 1 + delay + num_frames] for stream, delay in enumerate(delays)], dim=1
    )


def align_logits(logits: Tensor, delay: int, num_frames: int) -> Tensor:
    """One stream's logits [row, position, class] by the frame that they predict: position p predicts position p + 1."""
    return logits[:, delay : delay + num_frames]
