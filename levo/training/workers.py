"""The processes that train together: how many, which one this is, and sums over all of them."""

from typing import Protocol

import torch
from jaxtyping import Float64
from torch import Tensor


class Workers(Protocol):
    """A group of training processes."""

    @property
    def rank(self) -> int:
        """This worker's place, from 0."""

    @property
    def world_size(self) -> int:
        """Number of workers."""

    def sum(self, values: Float64[Tensor, " measure"]) -> Float64[Tensor, " measure"]:
        """Sums over all workers, the same on each; every worker must call it."""

    def wait(self) -> None:
        """Return once every worker has come here."""


class SingleWorker:
    """One process alone."""

    rank = 0
    world_size = 1

    def sum(self, values: Float64[Tensor, " measure"]) -> Float64[Tensor, " measure"]:
        """The values themselves."""
        return values

    def wait(self) -> None:
        """Return at once."""


class DistributedWorkers:
    """The default process group of `torch.distributed`, which must be initialised."""

    @property
    def rank(self) -> int:
        """This worker's place, from 0."""
        return torch.distributed.get_rank()

    @property
    def world_size(self) -> int:
        """Number of workers."""
        return torch.distributed.get_world_size()

    def sum(self, values: Float64[Tensor, " measure"]) -> Float64[Tensor, " measure"]:
        """Sums over all workers."""
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    def wait(self) -> None:
        """Return once every worker has come here."""
        torch.distributed.barrier()
