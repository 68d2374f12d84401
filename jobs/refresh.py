"""`levo refresh` and `levo rollback`: nights of a line of champions, whatever schedules them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

HELD = 3
"""The exit code where somebody else is at work on the line, or took it over: nothing was done twice."""


@dataclass(frozen=True, slots=True)
class RefreshOptions:
    """A night: sample the champion, score, pair, age the pairs, train where it pays, promote what the gate lets pass.

    A date that was done does nothing; one that was broken off goes on where it was. Two at once: one works, the other
    says so and exits with 3. Without a cluster (RAY_ADDRESS) the work is done on a Ray of its own, or in this process.
    """

    run: Path
    """The run whose recipe, judges and model the line begins from; `levo train` or `levo demo` makes one."""
    store: Path
    """The line's folder; all machines that work on it must reach it."""
    date: str | None = None
    """The logical date, as in 2026-11-26: a night goes by it, not by when it runs."""
    backfill: str | None = None
    """A range of dates, both ends included, as in 2026-11-01..2026-11-07: those that are missing are done in turn."""
    resume: bool = False
    """Finish the nights that were begun and not committed, or committed and not told to MLflow and Prometheus, the
    oldest first; no date is needed."""
    dry_run: bool = False
    """Say what would be done; nothing is written and no lease is taken."""
    recipe: str = "demo"
    """The recipe that the run was begun with."""
    seed: int = 0
    """The seed that the run was begun with."""
    tracking_uri: str | None = None
    """An MLflow server; without one the store keeps its own, and `none` keeps JSON lines alone."""
    prompts: Path | None = None
    """For a new line: a file of prompts in the fields of `levo generate`, each with `prompt_codes_path`; without it
    they are the rendered world's."""
    champion: Path | None = None
    """For a new line: the folder of the model that it begins with, such as another line's champion; without it the
    run's interpolated model, or its base."""
    pointers: str | None = None
    """For a new line: where head and lease lie, as in s3://BUCKET/PREFIX, for stores whose file system has no locks."""
    in_process: bool = False
    """Work in this process alone, without Ray."""
    pushgateway: str | None = None
    """The address of a Prometheus Pushgateway; LEVO_PUSHGATEWAY unless told."""


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Make the champion before the champion again; services that follow the store swap to it.

    To repeat it changes nothing, and finishes one that was interrupted; what was rolled back comes back by --to alone.
    """

    store: Path
    """The line's folder."""
    reason: str = ""
    """Why, for the record."""
    to: str | None = None
    """Any earlier champion, by the beginning of its SHA-256; without it the one before."""
    tracking_uri: str | None = None
    """An MLflow server; without one the store keeps its own, and `none` keeps JSON lines alone."""


def main(arguments: Sequence[str]) -> int:
    """Do the nights that are asked for."""
    options = tyro.cli(RefreshOptions, args=list(arguments), prog="levo refresh")
    from jobs.refresh_dates import asked_dates
    from jobs.refresh_run import do_nights, show_plan
    from pipelines.refresh.lease import HeldLeaseError, LostLeaseError
    from pipelines.refresh.line_facts import open_store

    store = open_store(options.store, options.pointers)
    dates = asked_dates(options.date, options.backfill, options.resume, store)
    if options.dry_run:
        return show_plan(options, dates)
    try:
        return do_nights(options, dates)
    except (HeldLeaseError, LostLeaseError) as error:
        return _elsewhere(error)


def rollback_main(arguments: Sequence[str]) -> int:
    """Roll back."""
    options = tyro.cli(RollbackOptions, args=list(arguments), prog="levo rollback")
    from jobs.refresh_run import do_rollback
    from pipelines.refresh.lease import HeldLeaseError, LostLeaseError

    try:
        return do_rollback(options)
    except (HeldLeaseError, LostLeaseError) as error:
        return _elsewhere(error)


def _elsewhere(error: Exception) -> int:
    import sys

    told = "; ".join([str(error), *getattr(error, "__notes__", ())])
    print(f"levo: nothing more was done here: {told}", file=sys.stderr)
    return HELD
