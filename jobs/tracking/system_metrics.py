"""The machine under a run as metrics of the run: processor, memory, disk, network and GPUs under `system/...`.

MLflow's collectors take the samples, so its page "System metrics" shows them; they go the way of all events, so a
server that is away costs none. They tell of the machine that the program runs on, not of a cluster's other nodes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jobs.tracking.protocol import TrackedRun

Sample = Callable[[], dict[str, float]]
ENABLED, INTERVAL_S = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
"""MLflow's own switches turn them on here too."""
_USUAL_INTERVAL_S = 10.0


@contextmanager
def system_metrics(run: TrackedRun, open_collectors: Callable[[], Sample] | None = None) -> Iterator[None]:
    """Sample while the block runs, at once and then every interval, where the environment asks for it.

    A point's step is the second since 1970, so that a run that is resumed goes on with its curves.
    """
    if os.environ.get(ENABLED, "").lower() not in ("true", "1"):
        yield
        return
    interval_s = float(os.environ.get(INTERVAL_S) or _USUAL_INTERVAL_S)
    over = threading.Event()

    def sample_until_over() -> None:
        # Opened here: a run does not wait for MLflow's import.
        sample = (open_collectors or mlflow_collectors)()
        while True:
            run.log_metrics({f"system/{name}": value for name, value in sample().items()}, step=int(time.time()))
            if over.wait(interval_s):
                return

    thread = threading.Thread(target=sample_until_over, name="system-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def mlflow_collectors() -> Sample:
    """A function that takes one sample with MLflow's collectors: of GPUs where nvidia-ml-py finds some."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    collectors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with suppress(ImportError, RuntimeError):  # no library, or no GPU: there is nothing to tell
        collectors.append(GPUMonitor())

    def sample() -> dict[str, float]:
        values: dict[str, float] = {}
        for collector in collectors:
            collector.collect_metrics()
            values |= collector.aggregate_metrics()
            collector.clear_metrics()
        return values

    return sample
