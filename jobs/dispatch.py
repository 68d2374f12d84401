"""`levo dispatch`: on Kubernetes, make the RayJob of a scheduled night unless it is there, and wait for its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """Make a night's RayJob from a template and wait for it; a repeat for the same date finds it and waits too.

    Runs in a pod of a CronJob whose service account may create and get RayJobs and get Jobs.
    """

    template: Path
    """A file with the RayJob, as kustomize builds it; its command line has one --date=DAY, which is replaced."""
    job: str
    """The Job of Kubernetes that this pod belongs to; the date is the one on which it was due."""
    poll_s: float = 30.0
    """Seconds between two looks at the night."""


def main(arguments: Sequence[str]) -> int:
    """Read the options and see a night through; 0 where it succeeds, 1 where it fails or cannot be made."""
    options = tyro.cli(DispatchOptions, args=list(arguments), prog="levo dispatch")
    if options.poll_s <= 0:
        raise ValueError(f"--poll-s is {options.poll_s}; expected more than 0")

    from jobs.kubernetes.api import PodApi
    from jobs.kubernetes.dispatch import dispatch
    from jobs.kubernetes.night import NightState, reason_of, template_in

    template = template_in(options.template.read_text())
    night = dispatch(template, options.job, PodApi.in_pod(), options.poll_s)
    succeeded = night.state is NightState.SUCCEEDED
    print(f"{night.name}: {'succeeded' if succeeded else f'failed: {reason_of(night.rayjob)}'}")
    return int(not succeeded)
