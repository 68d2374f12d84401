"""The supervised loss: cross-entropy of each stream where there is a token, and the mean over the streams."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy


@dataclass(frozen=True, slots=True, eq=False)
class StreamSums:
    """One stream's sums over its valid tokens; `negative_log_likelihood` carries the gradient.

    `num_correct` is of the `num_counted` tokens whose likeliest code was looked for.
    """

    negative_log_likelihood: Float[Tensor, ""]
    num_tokens: Int[Tensor, ""]
    num_correct: Int[Tensor, ""]
    num_counted: Int[Tensor, ""]


def stream_sums(
    logits: Float[Tensor, "row frame code"], codes: Int[Tensor, "row frame"], special_id: int
) -> StreamSums:
    """Sums for one stream; frames holding `special_id` (after the end of a song) do not count, the end token does."""
    loss = cross_entropy(logits.flatten(0, 1).float(), codes.flatten(), ignore_index=special_id, reduction="sum")
    num_tokens = (codes != special_id).sum()
    return StreamSums(
        negative_log_likelihood=loss,
        num_tokens=num_tokens,
        num_correct=(logits.detach().argmax(dim=-1) == codes).sum(),
        num_counted=num_tokens,
    )


def mean_of_streams(sums: list[StreamSums], num_tokens: list[int]) -> Float[Tensor, ""]:
    """The streams' mean cross-entropies, averaged; `num_tokens` are those of the whole batch.

    Over the micro-batches and workers of one batch these add up to the batch's loss exactly, whatever its cut.
    """
    means = [part.negative_log_likelihood / count for part, count in zip(sums, num_tokens, strict=True)]
    return torch.stack(means).mean()


def sequence_log_probability(
    logits: Float[Tensor, "row frame code"], codes: Int[Tensor, "row frame"], special_id: int
) -> Float[Tensor, " row"]:
    """Each row's log-probability: the sum over its valid tokens, end token included."""
    rows, frames, _ = logits.shape
    losses = cross_entropy(
        logits.float().flatten(0, 1), codes.flatten(), ignore_index=special_id, reduction="none"
    ).view(rows, frames)
    return -losses.sum(dim=-1)
