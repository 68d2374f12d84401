"""Steps whose work on the device is recorded once and then replayed, so that the host does not launch each kernel.

A step of a large model on a GPU takes fewer milliseconds than the host needs to launch its thousands of kernels. All
that a step reads and writes lies at fixed addresses, so its kernels can be recorded as one CUDA graph.
"""

from collections.abc import Callable, Hashable

import torch

Work = Callable[[], None]
Capture = Callable[[Work], Work]
"""Records work without doing it; what it gives does it."""


class RecordedSteps:
    """A recording for each key; what the host decides of a step, and what its shapes depend on, belongs in the key."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._recordings: dict[Hashable, Work | None] = {}

    def run(self, key: Hashable, work: Work) -> None:
        """Do the work: as it is the first time, when libraries set themselves up, and from a recording from then on."""
        if key not in self._recordings:
            self._recordings[key] = None
            work()
            return
        recording = self._recordings[key]
        if recording is None:
            recording = self._recordings[key] = self._capture(work)
        recording()


def cuda_capture() -> Capture:
    """Recording by CUDA graphs, which share one pool of memory since no two of them run at once.

    Raises `ValueError` where there is no CUDA device.
    """
    if not torch.cuda.is_available():
        raise ValueError("CUDA graphs need a CUDA device; this machine has none")
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            work()
        return graph.replay

    return capture
