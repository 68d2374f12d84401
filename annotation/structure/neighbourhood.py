"""Dilated neighbourhood attention (A. Hassani et al., arXiv 2204.07143, 2209.15001) in plain PyTorch.

Each place attends to the `kernel` places nearest to it, `dilation` apart; at an edge the window moves inwards instead
of shrinking. The functions have the names and arguments of `natten`'s, which models written for it import.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def neighbours(length: int, kernel: int, dilation: int) -> Int[Tensor, "place neighbour"]:
    """Each place's neighbours; raises `ValueError` where there are fewer places than a window spans."""
    if length < kernel * dilation:
        raise ValueError(f"{length} places; expected {kernel * dilation} or more for windows of {kernel} x {dilation}")
    place = torch.arange(length)
    first = place % dilation
    num_alike = (length - 1 - first) // dilation + 1
    start = (place // dilation - kernel // 2).clamp(min=0).minimum(num_alike - kernel)
    return first[:, None] + dilation * (start[:, None] + torch.arange(kernel))


def natten1dqkrpb(
    query: Float[Tensor, "song head place feature"],
    key: Float[Tensor, "song head place feature"],
    bias: Float[Tensor, "head offset"],
    kernel: int,
    dilation: int,
) -> Float[Tensor, "song head place neighbour"]:
    """Products of each place's query with its neighbours' keys, plus the bias of how far apart they are."""
    length = query.shape[-2]
    near = neighbours(length, kernel, dilation).to(query.device)
    return torch.einsum("bhpf,bhpnf->bhpn", query, key[:, :, near]) + bias[:, _offsets(near, kernel, dilation)]


def natten1dav(
    weights: Float[Tensor, "song head place neighbour"],
    value: Float[Tensor, "song head place feature"],
    kernel: int,
    dilation: int,
) -> Float[Tensor, "song head place feature"]:
    """Each place's sum of its neighbours' values by their weights."""
    near = neighbours(value.shape[-2], kernel, dilation).to(value.device)
    return torch.einsum("bhpn,bhpnf->bhpf", weights, value[:, :, near])


def natten2dqkrpb(
    query: Float[Tensor, "song head row column feature"],
    key: Float[Tensor, "song head row column feature"],
    bias: Float[Tensor, "head row_offset column_offset"],
    kernel: int,
    dilation: int,
) -> Float[Tensor, "song head row column neighbour"]:
    """The same in two dimensions: neighbours row by row."""
    rows, columns = (neighbours(length, kernel, dilation).to(query.device) for length in query.shape[2:4])
    by_row, by_column = _offsets(rows, kernel, dilation), _offsets(columns, kernel, dilation)
    parts = []
    for number in range(kernel):
        near = key[:, :, rows[:, number]][:, :, :, columns]
        products = torch.einsum("bhrcf,bhrcnf->bhrcn", query, near)
        parts.append(products + bias[:, by_row[:, number]][:, :, by_column])
    return torch.cat(parts, dim=-1)


def natten2dav(
    weights: Float[Tensor, "song head row column neighbour"],
    value: Float[Tensor, "song head row column feature"],
    kernel: int,
    dilation: int,
) -> Float[Tensor, "song head row column feature"]:
    """The same in two dimensions."""
    rows, columns = (neighbours(length, kernel, dilation).to(value.device) for length in value.shape[2:4])
    total = torch.zeros_like(value)
    for number, part in enumerate(torch.split(weights, kernel, dim=-1)):
        total += torch.einsum("bhrcn,bhrcnf->bhrcf", part, value[:, :, rows[:, number]][:, :, :, columns])
    return total


def _offsets(near: Int[Tensor, "place neighbour"], kernel: int, dilation: int) -> Int[Tensor, "place neighbour"]:
    """Where in a table of biases the distance to each neighbour is; no distance is in its middle."""
    places = torch.arange(len(near), device=near.device)
    return kernel - 1 + (near - places[:, None]) // dilation
