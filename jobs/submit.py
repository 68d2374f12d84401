"""`levo submit`, `status`, `logs` and `stop`: a run's steps as Ray jobs on a cluster."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from jobs.submission import JobClient, StepJob

_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class StepOptions:
    """Which step of which run; the same options name the same job."""

    recipe: Annotated[str, tyro.conf.Positional]
    """The run's recipe."""
    step: Annotated[str, tyro.conf.Positional]
    """train, sample, score, pair, align, merge or evaluate: the loop up to that step, what is done skipped; or refresh:
    a night."""
    run: str
    """The run's folder, as the cluster sees it."""
    address: str
    """The cluster's dashboard, such as http://127.0.0.1:8265; its token comes from RAY_AUTH_TOKEN."""
    seed: int = 0
    """The seed that the run was begun with."""
    tracking_uri: str | None = None
    """An MLflow server."""
    program: str = "levo"
    """How the command is started there: the image's console script unless told."""
    working_dir: str | None = None
    """For development alone: upload this folder's code in place of the image's."""
    image: str | None = None
    """The image's name with its digest, which the run records; LEVO_IMAGE unless told."""
    date: str | None = None
    """For refresh: the night's date, as in 2026-11-26."""
    store: str | None = None
    """For refresh: the line's folder, as the cluster sees it."""


@dataclass(frozen=True, slots=True)
class SubmitOptions(StepOptions):
    """Start a step as a Ray job; a repeat of one that waits, runs or is done is recognised and starts nothing."""

    wait: bool = False
    """Print what it prints until it ends; the exit code is then its own."""


@dataclass(frozen=True, slots=True)
class StatusOptions(StepOptions):
    """Say how a step stands, by its latest attempt."""


@dataclass(frozen=True, slots=True)
class LogsOptions(StepOptions):
    """Print what a step has printed."""

    follow: bool = False
    """Go on until it ends."""


@dataclass(frozen=True, slots=True)
class StopOptions(StepOptions):
    """Stop a step; what it has done stays, and `levo submit` goes on from there."""


def submit_main(arguments: Sequence[str]) -> int:
    """Submit, and wait where that is asked."""
    from jobs.submission import submit

    options = tyro.cli(SubmitOptions, args=list(arguments), prog="levo submit")
    job, client = _job(options), _client(options.address)
    submitted = submit(job, client)
    print(f"{submitted.submission_id}: {'submitted' if submitted.is_new else f'{submitted.state.value} already'}")
    return _follow(job, client) if options.wait else 0


def status_main(arguments: Sequence[str]) -> int:
    """Print the state."""
    from jobs.submission import latest_of

    options = tyro.cli(StatusOptions, args=list(arguments), prog="levo status")
    latest = latest_of(_job(options), _client(options.address))
    print(f"{latest.submission_id}: {latest.state.value}")
    return 0


def logs_main(arguments: Sequence[str]) -> int:
    """Print the output."""
    from jobs.submission import known

    options = tyro.cli(LogsOptions, args=list(arguments), prog="levo logs")
    job, client = _job(options), _client(options.address)
    latest = known(job, client)
    if options.follow:
        return _follow(job, client)
    print(client.get_job_logs(latest.submission_id), end="")
    return 0


def stop_main(arguments: Sequence[str]) -> int:
    """Stop the latest attempt."""
    from jobs.submission import known

    options = tyro.cli(StopOptions, args=list(arguments), prog="levo stop")
    job, client = _job(options), _client(options.address)
    latest = known(job, client)
    client.stop_job(latest.submission_id)
    print(f"{latest.submission_id}: asked to stop")
    return 0


def _job(options: StepOptions) -> "StepJob":
    from jobs.recipes.loop import recipe_named
    from jobs.submission import StepJob

    recipe_named(options.recipe, options.seed)
    told = {} if options.image is None else {"image": options.image}
    return StepJob(
        options.recipe,
        options.step,
        options.run,
        options.seed,
        options.tracking_uri,
        options.program,
        options.working_dir,
        date=options.date,
        store=options.store,
        **told,
    )


def _client(address: str) -> "JobClient":
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    token = _token()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        client: JobClient = JobSubmissionClient(address, headers=headers)
    except AuthenticationError as error:
        told = "none was given" if token is None else "the one that was given is another"
        raise PermissionError(
            f"the cluster at {address} wants its token, {told}; set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error
    except (ConnectionError, RuntimeError) as error:
        raise ConnectionError(f"no cluster answers at --address {address}: {error}") from error
    return client


def _token() -> str | None:
    """The cluster's token from the environment, or the file that it names."""
    file = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return os.environ.get("RAY_AUTH_TOKEN") or (Path(file).read_text().strip() if file else None)


def _follow(job: "StepJob", client: "JobClient", sleep: Callable[[float], None] = time.sleep) -> int:
    """Print a job's output as it grows; 0 where it succeeds."""
    from jobs.submission import JobState, known

    printed = 0
    while True:
        latest = known(job, client)
        text = client.get_job_logs(latest.submission_id)
        print(text[printed:], end="", flush=True)
        printed = len(text)
        if latest.state not in (JobState.PENDING, JobState.RUNNING):
            print(f"{latest.submission_id}: {latest.state.value}")
            return int(latest.state is not JobState.SUCCEEDED)
        sleep(_POLL_S)
