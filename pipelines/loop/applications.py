"""Applications that share one Ray Serve: each is started and stopped apart, and the last to go stops Serve.

A program's threads do that one after the other: Serve marks its own modules while it describes a deployment, for the
whole process, and two threads that do it at once take each other's mark away.
"""

import threading
from collections.abc import Callable

import ray
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

_ONE_AT_A_TIME = threading.RLock()


def run_application(describe: Callable[[], Application], name: str) -> DeploymentHandle:
    """Run an application on the Ray that is open, reachable by its handle only (no HTTP proxy of its own)."""
    if not ray.is_initialized():
        raise RuntimeError(f"Ray is not running; call ray.init() before {name} is started")
    with _ONE_AT_A_TIME:
        serve.start(proxy_location="Disabled")
        return serve.run(describe(), name=name, route_prefix=None)


def stop_application(name: str) -> None:
    """Stop an application where it runs, and Serve with it unless others have applications on it."""
    with _ONE_AT_A_TIME:
        applications = serve.status().applications.keys()
        if applications - {name}:
            if name in applications:
                serve.delete(name)
        else:
            serve.shutdown()
