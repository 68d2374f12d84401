"""Sampling with less memory on the device: the layers' weights stay with the host and come to the device one by one.

The products are those of a model that lies on the device whole, so the songs are the same, only slower.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from levo.model.store import LoadedModel

_Weights = dict[str, Tensor]


def stream_layers(loaded: LoadedModel, device: torch.device) -> LoadedModel:
    """Put a model that is with the host on `device`, but for its towers' layers, which come when they are called.

    On a GPU the next layer's weights are copied while one runs, so that no more than two layers are there at once.
    """
    towers = (loaded.model.transformer.model, loaded.model.transformer2.model)
    layers = [layer for tower in towers for layer in tower.layers]
    streamer = _LayerStreamer(layers, device)
    of_layers = {parameter for layer in layers for parameter in layer.parameters()}
    for module in loaded.model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter not in of_layers:
                parameter.data = parameter.data.to(device)
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    for place, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda _module, _inputs, place=place: streamer.bring(place))
        layer.register_forward_hook(lambda _module, _inputs, _output, place=place: streamer.drop(place))
    return loaded


class _LayerStreamer:
    def __init__(self, layers: Sequence[nn.Module], device: torch.device) -> None:
        self._device = device
        self._parameters = [dict(layer.named_parameters()) for layer in layers]
        self._host = [self._of_host(parameters) for parameters in self._parameters]
        self._coming: dict[int, _Weights] = {}
        self._copies: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def bring(self, place: int) -> None:
        """Have a layer's weights on the device, and the next one's on their way."""
        weights = self._coming.pop(place, None) or self._copied(place)
        if self._copies is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._copies)
            following = (place + 1) % len(self._host)
            self._coming[following] = self._copied(following)
        for name, parameter in self._parameters[place].items():
            parameter.data = weights[name]

    def drop(self, place: int) -> None:
        """Leave a layer's weights to the host again."""
        for name, parameter in self._parameters[place].items():
            if self._copies is not None:
                parameter.data.record_stream(torch.cuda.current_stream(self._device))
            parameter.data = self._host[place][name]

    def _of_host(self, parameters: dict[str, nn.Parameter]) -> _Weights:
        pins = self._device.type == "cuda"
        return {name: one.data.pin_memory() if pins else one.data for name, one in parameters.items()}

    def _copied(self, place: int) -> _Weights:
        with torch.cuda.stream(self._copies):
            return {name: one.to(self._device, non_blocking=True, copy=True) for name, one in self._host[place].items()}
