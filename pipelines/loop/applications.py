"""Applications that share one Ray Serve: each is started and stopped apart, and the last to go stops Serve.

A program's threads do that one after the other: Serve marks its own modules while it describes a deployment, for the
whole process, and two threads that do it at once take each other's mark away.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

_ONE_AT_A_TIME = threading.RLock()


def run_application(
    describe: Callable[[], Application], name: str, http: Mapping[str, Any] | None = None
) -> DeploymentHandle:
    """Run an application on the Ray that is open, reachable by its handle only, or by HTTP too where options say how.

    `http` holds options of Serve's proxy (`host`, `port`), which runs beside Ray's head; returns the handle of the
    application's ingress.
    """
    if not ray.is_initialized():
        raise RuntimeError(f"Ray is not running; call ray.init() before {name} is started")
    with _ONE_AT_A_TIME:
        if http is None:
            serve.start(proxy_location="Disabled")
        else:
            serve.start(http_options=dict(http), proxy_location="HeadOnly")
        return serve.run(describe(), name=name, route_prefix=None if http is None else "/")


def stop_application(name: str) -> None:
    """Stop an application where it runs, and Serve with it unless others have applications on it."""
    with _ONE_AT_A_TIME:
        applications = serve.status().applications.keys()
        if applications - {name}:
            if name in applications:
                serve.delete(name)
        else:
            serve.shutdown()
