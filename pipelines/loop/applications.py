"""Applications that share one Ray Serve: each is started and stopped apart, and the last to go stops Serve."""

import ray
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle


def run_application(application: Application, name: str) -> DeploymentHandle:
    """Run an application on the Ray that is open, reachable by its handle only (no HTTP proxy of its own)."""
    if not ray.is_initialized():
        raise RuntimeError(f"Ray is not running; call ray.init() before {name} is started")
    serve.start(proxy_location="Disabled")
    return serve.run(application, name=name, route_prefix=None)


def stop_application(name: str) -> None:
    """Stop an application where it runs, and Serve with it unless others have applications on it."""
    applications = serve.status().applications.keys()
    if applications - {name}:
        if name in applications:
            serve.delete(name)
    else:
        serve.shutdown()
