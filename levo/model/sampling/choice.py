"""From logits to codes: guidance, repetition penalty, bans, and a draw by inverting the cumulative distribution."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def guided(
    logits: Float[Tensor, "row stream class"], null_rows: Int64[Tensor, " row"], guidance: Float[Tensor, " row"]
) -> Float[Tensor, "row stream class"]:
    """null + guidance * (conditional - null); a row that is its own null row is left as it is (arXiv 2207.12598)."""
    null = logits[null_rows]
    return null + guidance[:, None, None] * (logits - null)


def penalised(
    logits: Float[Tensor, "row stream class"],
    recent: Int64[Tensor, "row stream column"],
    penalty: Float[Tensor, " row"],
    code_size: int,
) -> Float[Tensor, "row stream class"]:
    """Divide the logit of every code among the recent ones by the penalty, once, whatever its sign, as released.

    Ids from `code_size` on (the end of song, empty positions) go unpunished.
    """
    seen = torch.zeros_like(logits, dtype=torch.bool)
    seen.scatter_(2, recent.clamp(max=code_size), True)
    seen[:, :, code_size:] = False
    return torch.where(seen, logits / penalty[:, None, None], logits)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the songs of a batch ask for at most, known without looking at the device."""

    top_k: int = 0
    has_one_top_k: bool = False
    uses_top_p: bool = False
    window: int = 0
    samples_tracks: bool = False


def probabilities(
    logits: Float[Tensor, "row stream class"],
    temperature: Float64[Tensor, " row"],
    top_k: Int64[Tensor, " row"],
    top_p: Float64[Tensor, " row"],
    limits: Limits,
) -> Float64[Tensor, "row stream class"]:
    """softmax(logits / temperature) over the `top_k` likeliest classes (0: all; equals of the last one stay too).

    Of these the nucleus is kept that `top_p` asks for (1: all), and made to sum to 1.
    """
    scaled = logits.double() / temperature[:, None, None]
    num_classes = logits.shape[2]
    if limits.top_k > 0:
        best = scaled.topk(min(limits.top_k, num_classes), dim=2, sorted=not limits.has_one_top_k).values
        last = (top_k.clamp(1, best.shape[2]) - 1)[:, None, None].expand(-1, logits.shape[1], 1)
        worst = best.amin(dim=2, keepdim=True) if limits.has_one_top_k else best.gather(2, last)
        is_filtered = (top_k > 0) & (top_k < num_classes)
        below = (scaled < worst) & is_filtered[:, None, None]
        scaled = scaled.masked_fill(below, -torch.inf)
    distribution = scaled.softmax(dim=2)
    return _nucleus(distribution, top_p) if limits.uses_top_p else distribution


def _nucleus(
    distribution: Float64[Tensor, "row stream class"], top_p: Float64[Tensor, " row"]
) -> Float64[Tensor, "row stream class"]:
    likeliest = distribution.sort(dim=2, descending=True, stable=True)
    before = likeliest.values.cumsum(dim=2) - likeliest.values
    is_out = (before >= top_p[:, None, None]) & (top_p < 1)[:, None, None]
    kept = distribution.masked_fill(torch.zeros_like(is_out).scatter(2, likeliest.indices, is_out), 0.0)
    return torch.where((top_p < 1)[:, None, None], kept / kept.sum(dim=2, keepdim=True), distribution)


def drawn(
    distribution: Float64[Tensor, "row stream class"], noise: Float64[Tensor, "row stream"]
) -> Int64[Tensor, "row stream"]:
    """The first class at which the cumulative distribution exceeds the noise."""
    cumulative = distribution.cumsum(dim=2)
    total = cumulative[:, :, -1:]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    point = torch.minimum(noise[:, :, None] * total, below_total)
    return (cumulative <= point).sum(dim=2)
