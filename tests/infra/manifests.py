"""What the manifests hold: pods, command lines, and the names of what they ask for."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.infra.kustomize import OVERLAYS, Resource, overlay

TODAY = "$(date -u +%F)"
"""What the submitter's shell puts in where a schedule has no date to give."""


@dataclass(frozen=True)
class Pod:
    """A pod's template and the kind it belongs to."""

    owner: str
    labels: dict[str, str]
    spec: Resource

    @property
    def container(self) -> Resource:
        (one,) = self.spec["containers"]
        return dict(one)


def everything() -> dict[str, list[Resource]]:
    """All overlays, built; and the same with Kueue's component where a job or a service is queued."""
    queued = {name: overlay(name, "kueue") for name in OVERLAYS}
    return {name: overlay(name) for name in OVERLAYS} | {f"{name}+kueue": built for name, built in queued.items()}


def of_kind(resources: list[Resource], kind: str) -> Resource:
    """The one resource of a kind."""
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


def pods(value: Any, owner: str = "") -> Iterator[Pod]:
    """All pod templates in resources, wherever they are."""
    if isinstance(value, dict):
        owner = value.get("kind", owner)
        if isinstance(value.get("spec"), dict) and "containers" in value["spec"]:
            yield Pod(owner, value.get("metadata", {}).get("labels", {}), value["spec"])
        for part in value.values():
            yield from pods(part, owner)
    elif isinstance(value, list):
        for part in value:
            yield from pods(part, owner)


def ray_cluster(resources: list[Resource]) -> Resource:
    """The cluster of a RayJob, a RayCronJob or a RayService."""
    for resource in resources:
        spec = resource.get("spec", {})
        job = spec.get("jobTemplate", spec) if resource["kind"] != "CronJob" else {}
        cluster = job.get("rayClusterSpec") or job.get("rayClusterConfig")
        if cluster:
            return dict(cluster)
    raise AssertionError("no cluster of Ray among the resources")


def command_lines(resources: list[Resource]) -> list[list[str]]:
    """Every command of this project that the resources run; today's date stands as one."""
    found = [shlex.split(words.replace(TODAY, "2026-01-01")) for words in _values(resources, "entrypoint")]
    started = [pod.container for pod in pods(resources) if "command" in pod.container]
    return found + [[*container["command"], *container["args"]] for container in started]


def _values(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from (part,) if key == name else _values(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _values(part, name)
