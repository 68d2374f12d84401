"""A night's RayJob: its date from the Job that the schedule made, its manifest from a template, and how it stands."""

import re
import shlex
from collections.abc import Mapping
from copy import deepcopy
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import yaml

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""Annotation of a CronJob's Job: when it was due, in the CronJob's time zone (Kubernetes 1.32)."""
_OPTION = "--date="
_EXAMPLE = re.compile(rf"(?<=\s){_OPTION}\S+")


class NightState(StrEnum):
    """How a night's RayJob stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def date_of(job: Mapping[str, Any]) -> date:
    """The date on which a Job was due, so that one that starts late or is tried again after midnight keeps its night.

    A Job made by hand has no such time: its date is then the day (UTC) on which it was made.
    """
    metadata = job["metadata"]
    moment = metadata.get("annotations", {}).get(SCHEDULED) or metadata["creationTimestamp"]
    try:
        return datetime.fromisoformat(moment).date()
    except ValueError as error:
        told = f"Job {metadata['name']} was due at {moment!r}; expected a time such as 2026-11-26T02:30:00Z"
        raise ValueError(told) from error


def template_in(text: str) -> dict[str, Any]:
    """The one RayJob among the resources that kustomize has built; raises ValueError where there is not one."""
    found = [one for one in yaml.safe_load_all(text) if one and one.get("kind") == "RayJob"]
    if len(found) != 1:
        raise ValueError(f"the template holds {len(found)} RayJobs; expected one")
    template: dict[str, Any] = found[0]
    options = [word for word in shlex.split(template["spec"]["entrypoint"]) if word.startswith(_OPTION)]
    if len(options) != 1:
        raise ValueError(f"the template's entrypoint has {len(options)} options {_OPTION}DAY; expected one to replace")
    return template


def rayjob_of(template: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The template as the job of one night: `NAME-DAY`, with its day in the command line."""
    made = deepcopy(dict(template))
    made["metadata"]["name"] = f"{template['metadata']['name']}-{day.isoformat()}"
    made["spec"]["entrypoint"] = _EXAMPLE.sub(f"{_OPTION}{day.isoformat()}", template["spec"]["entrypoint"])
    return made


def state_of(rayjob: Mapping[str, Any]) -> NightState:
    """What KubeRay says of a RayJob; one that is tried again, queued or suspended is running still."""
    status = rayjob.get("status", {})
    match status.get("jobDeploymentStatus"), status.get("jobStatus"):
        case "Complete", "SUCCEEDED":
            return NightState.SUCCEEDED
        case (("Complete" | "Failed" | "ValidationFailed"), _):
            return NightState.FAILED
    return NightState.RUNNING


def reason_of(rayjob: Mapping[str, Any]) -> str:
    """Why a RayJob failed, in KubeRay's words."""
    status = rayjob.get("status", {})
    told = [str(status[name]) for name in ("jobStatus", "reason", "message") if status.get(name)]
    return ": ".join(told) or "no reason given"
