"""The Ray cluster that a program works on: the one that `RAY_ADDRESS` names, else one of its own on this machine."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.observability.logs import give_rays_lines_to_root, logs_are_json, worker_logging

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
        ray.init(address=address, logging_level=logging.WARNING, **worker_logging())
    else:
        _ask_for_a_token()
        ray.init(
            address="local",
            num_cpus=_LOGICAL_CPUS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            **worker_logging(),
        )
    if logs_are_json():
        give_rays_lines_to_root()
    try:
        yield
    finally:
        ray.shutdown()


def _ask_for_a_token() -> None:
    """Have a cluster of our own ask for a token that nobody else has, unless the environment says how it is guarded.

    Ray listens at every address of the machine, and lets in who has the token. The one that it would make itself
    stays in the home folder, where everybody on the machine can read it.
    """
    if not any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
