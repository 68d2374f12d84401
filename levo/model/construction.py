"""How a LeLM comes to be: drawn anew, or of shapes alone, for weights that are at hand."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from levo.model.config import LeLMConfig
from levo.model.lelm import LeLM


def new_lelm(config: LeLMConfig, seed: int, *, table_std: float | None = None) -> LeLM:
    """A freshly initialised model; the global random state is left as it was.

    `table_std` scales the token tables, which the released code draws with a standard deviation of 1 (its first one
    apart): small models learn to follow their lyrics much sooner from about 0.1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LeLM(config)
    if table_std is not None:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.Embedding):
                    module.weight.mul_(table_std / module.weight.std())
    return model


def empty_lelm(config: LeLMConfig) -> LeLM:
    """A model of shapes alone (torch's meta device), into which weights are assigned."""
    with torch.device("meta"), _NothingDrawn():
        return LeLM(config)


class _NothingDrawn(TorchFunctionMode):
    """Draws nothing: to draw a tensor that has no memory takes torch's compiler, seconds to import."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        if func is torch.randn:
            return torch.empty(*args, **given)
        return func(*args, **given)
