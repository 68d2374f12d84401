"""A model whose layers come one by one draws the songs of one that is there whole, and holds no layer in between."""

from pathlib import Path

import torch

from levo.model.conditions import Conditions
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SamplingParameters, SamplingRequest
from levo.model.store import load_model
from levo.model.streaming import stream_layers

LENGTH = LengthClass(num_rows=4, max_frames=16, max_prefix=40, prefill_rows=2, rows_per_prefix=2)


def test_the_songs_are_those_of_the_whole_model_and_layers_are_dropped(tiny_model: Path) -> None:
    requests = [
        SamplingRequest(f"{seed}", Conditions("[verse] sun moon."), seed, 12, SamplingParameters(guidance=1.5))
        for seed in range(3)
    ]
    whole = load_model(tiny_model)
    streamed = load_model(tiny_model)
    layers = [*streamed.model.transformer.model.layers, *streamed.model.transformer2.model.layers]
    host = [parameter.data_ptr() for layer in layers for parameter in layer.parameters()]
    seen: list[int] = []
    stream_layers(streamed, torch.device("cpu"))
    layers[0].register_forward_pre_hook(lambda module, _inputs: seen.append(module.mlp.up_proj.weight.data_ptr()))
    songs = [SamplingEngine(loaded, [LENGTH]).run(requests) for loaded in (whole, streamed)]
    for plain, other in zip(*songs, strict=True):
        assert plain.tokens.codes.tolist() == other.tokens.codes.tolist()
    assert [parameter.data_ptr() for layer in layers for parameter in layer.parameters()] == host
    assert len(seen) > 12
    assert not set(seen) & set(host)
