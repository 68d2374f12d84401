"""The Ray cluster that a program works on: the one that `RAY_ADDRESS` names, else one of its own on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Ray's own actors ask for logical CPUs too; with as many as a small machine has cores, runs can wait for ever.
_LOGICAL_CPUS = 8
_QUIET = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Every pool of actors is announced as an error (ray issue 53727).
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connect to Ray, or start it here, for as long as the context is entered; an open connection is used as it is."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, logging_level=logging.WARNING)
    else:
        ray.init(
            address="local",
            num_cpus=_LOGICAL_CPUS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    try:
        yield
    finally:
        ray.shutdown()
