"""Results that training computes twice rather than keeps: a norm or a gate takes less time than its memory is worth."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class Repeatable(Protocol):
    """The context of an autograd function whose result can be had again from what it saved."""

    saved_tensors: tuple[Tensor, ...]

    def again(self, *saved: Tensor) -> Tensor:
        """The function's result."""
        ...


@contextmanager
def forgotten(result: Tensor, is_wanted: bool = True) -> Iterator[None]:
    """What is called within keeps, in the place of `result`, what it was made of, and makes it again for its gradient.

    `result` comes from an autograd function whose context has an `again` (`Repeatable`); any other is kept as ever,
    and so is all of it where that is not wanted, or where the compiler decides what is kept.
    """
    node = result.grad_fn
    if not is_wanted or torch.compiler.is_compiling() or not hasattr(node, "again"):
        yield
        return
    stand_in = _StandIn(cast(Repeatable, node), result)
    with saved_tensors_hooks(stand_in.pack, stand_in.unpack):
        yield


class _StandIn:
    """Stands for one tensor where others keep it, and computes it anew for the first that asks."""

    def __init__(self, node: Repeatable, result: Tensor) -> None:
        self._again = node.again
        self._sources = [source.detach() for source in node.saved_tensors]
        self._address, self._size, self._dtype = result.data_ptr(), result.numel(), result.dtype
        self._num_asking = 0
        self._result: Tensor | None = None

    def pack(self, tensor: Tensor) -> Tensor | torch.Size:
        """The tensor itself, or for the one that is not to be kept the shape it was seen in."""
        is_it = (tensor.data_ptr(), tensor.numel(), tensor.dtype) == (self._address, self._size, self._dtype)
        if not (is_it and tensor.is_contiguous()):
            return tensor
        self._num_asking += 1
        return tensor.shape

    def unpack(self, packed: Tensor | torch.Size) -> Tensor:
        """What was packed; a result is held until the last has asked for it."""
        if isinstance(packed, Tensor):
            return packed
        result = self._result
        if result is None:
            with torch.no_grad():
                result = self._again(*self._sources)
        self._num_asking -= 1
        self._result = result if self._num_asking else None
        return result.view(packed)
