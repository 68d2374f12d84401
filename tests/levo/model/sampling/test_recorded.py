"""Replayed steps draw the same songs: nothing of what the host knows at recording is left in a recording by mistake.

A CUDA graph replays kernels on the addresses that they were recorded with. Here torch's tracer stands in for it: it
records operations on the very tensors, every number from the host as a constant, and what it gives replays those.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.recorded import RecordedSteps, cuda_capture
from levo.model.sampling.request import SamplingRequest
from levo.model.store import LoadedModel

MakeRequest = Callable[..., SamplingRequest]
PLAIN = LengthClass(num_rows=6, max_frames=60, max_prefix=40, prefill_rows=4)
SHARED = LengthClass(num_rows=6, max_frames=150, max_prefix=40, prefill_rows=4, rows_per_prefix=1)


class TracedCapture:
    def __init__(self) -> None:
        self.num_recordings = 0
        self.num_replays = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """The tracer does the work as it records, so that the first replay is done already."""
        self.num_recordings += 1

        def traced() -> tuple[()]:
            work()
            return ()

        graph = make_fx(traced)()
        is_done = [True]

        def replay() -> None:
            self.num_replays += 1
            if is_done:
                is_done.pop()
                return
            graph()

        return replay


@pytest.mark.parametrize("length", [PLAIN, SHARED])
def test_replayed_steps_draw_the_same_songs(
    loaded: LoadedModel, make_request: MakeRequest, length: LengthClass
) -> None:
    requests = [make_request(number) for number in range(9)]
    # One song that goes on into the cache's second piece, while others join and leave.
    goes_on = replace(requests[0].parameters, min_frames=length.max_frames - 1)
    requests[0] = replace(requests[0], max_frames=length.max_frames, parameters=goes_on)
    capture = TracedCapture()
    songs = [SamplingEngine(loaded, [length], each).run(requests) for each in (None, capture)]
    for plain, replayed in zip(*songs, strict=True):
        assert plain.tokens.codes.tolist() == replayed.tokens.codes.tolist()
    assert 0 < capture.num_recordings < capture.num_replays / 3


def test_a_key_is_run_once_as_it_is_then_recorded_once() -> None:
    told: list[str] = []

    def capture(work: Callable[[], None]) -> Callable[[], None]:
        told.append("recorded")
        return lambda: told.append("replayed")

    steps = RecordedSteps(capture)
    for key in ("a", "a", "a", "b"):
        steps.run(key, lambda: told.append("worked"))
    assert told == ["worked", "recorded", "replayed", "replayed", "worked"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_graphs_without_a_device_are_refused() -> None:
    with pytest.raises(ValueError, match="CUDA graphs need a CUDA device"):
        cuda_capture()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_draw_the_same_songs(loaded: LoadedModel, make_request: MakeRequest) -> None:
    loaded.model.to("cuda")
    requests = [make_request(number) for number in range(9)]
    songs = [SamplingEngine(loaded, [SHARED], each).run(requests) for each in (None, cuda_capture())]
    for plain, replayed in zip(*songs, strict=True):
        assert plain.tokens.codes.tolist() == replayed.tokens.codes.tolist()
