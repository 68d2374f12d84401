"""Steps as Ray jobs: one submission id for one step of one run, so that a repeat is recognised and not run twice."""

import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from jobs.lineage.code import (
    COMMIT_TAGS,
    COMMIT_VARIABLE,
    IMAGE_VARIABLE,
    MODIFIED_TAG,
    MODIFIED_VARIABLE,
    SOURCE_VARIABLE,
    SUBMISSION_VARIABLE,
    code_tags,
    constraints_digest,
)
from jobs.tracking.protocol import GIT_COMMIT
from jobs.tracking.redaction import redacted, refuse_credentials
from levo.song.digest import digest_json

REFRESH = "refresh"
STEPS = ("train", "sample", "score", "pair", "align", "merge", "evaluate", REFRESH)
"""The commands that do the loop up to a step and skip what is done, and a night of the refresh."""
_LATER, _RETRY_S = "try again later", 1.0
_PLAIN = re.compile(r"[^a-z0-9]+")


class JobState(StrEnum):
    """How a step stands, by its latest attempt."""

    NOT_SUBMITTED = "not submitted"
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class SubmissionError(OSError):
    """A cluster that takes no job."""


class UnknownJobError(ValueError):
    """A step that was never submitted."""


class JobClient(Protocol):
    """What is needed of `ray.job_submission.JobSubmissionClient`."""

    def list_jobs(self) -> list[Any]:
        """All jobs that the cluster knows."""
        ...

    def submit_job(self, **settings: Any) -> str:
        """Start a job; a submission id that is taken raises RuntimeError."""
        ...

    def get_job_logs(self, job_id: str) -> str:
        """What it has printed so far."""
        ...

    def stop_job(self, job_id: str) -> bool:
        """Ask it to end."""
        ...


@dataclass(frozen=True, slots=True)
class StepJob:
    """A step of a run on a cluster: what is run, and what makes it the same job again."""

    recipe: str
    step: str
    run: str
    seed: int = 0
    tracking_uri: str | None = None
    program: str = "levo"
    """The console script that the cluster's image has, or how it is started there."""
    working_dir: str | None = None
    """For development alone: code that is uploaded in place of the image's."""
    image: str | None = field(default_factory=lambda: os.environ.get(IMAGE_VARIABLE))
    date: str | None = None
    """Of a night, which has it in its name."""
    store: str | None = None
    """Of a night: the folder of the line of champions."""

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ValueError(f"step is {self.step!r}; expected one of {', '.join(STEPS)}")
        for name in ("date", "store"):
            if (getattr(self, name) is not None) != (self.step == REFRESH):
                expected = "one" if self.step == REFRESH else "none"
                raise ValueError(f"--{name} is {getattr(self, name)} for the step {self.step}; expected {expected}")
        # The cluster shows every job's command line to whoever may ask it.
        instead = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD from a secret of the cluster"
        refuse_credentials(self.tracking_uri or "", "--tracking-uri", instead)

    @property
    def name(self) -> str:
        """The submission id without its attempt: equal for equal steps of equal code."""
        what = [self.recipe, self.step, self.run, self.seed, self._commit(), self.image, self.working_dir]
        what += [self.date, self.store] if self.step == REFRESH else []
        plain = _PLAIN.sub("-", f"{self.recipe}-{self.step}-{self.date or ''}".lower()).strip("-")
        return f"levo-{plain}-{digest_json(what)[:12]}"

    @property
    def entrypoint(self) -> str:
        """The command line."""
        options = {"recipe": self.recipe, "run": self.run, "seed": str(self.seed), "tracking-uri": self.tracking_uri}
        options |= {"date": self.date, "store": self.store}
        told = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return f"{self.program} {shlex.join([self.step, *told])}"

    def metadata(self, attempt: int) -> dict[str, str]:
        """What the cluster keeps beside the job, and the run beside its results."""
        source = "image" if self.working_dir is None else f"working_dir {self.working_dir}"
        told = {
            "levo.recipe": self.recipe,
            "levo.step": self.step,
            "levo.run": self.run,
            "levo.date": self.date,
            "levo.store": self.store,
            "levo.attempt": str(attempt),
            "levo.source": source,
            "levo.image": self.image,
            "levo.constraints_sha256": None if self._is_in_a_named_image else constraints_digest(),
        }
        return {name: redacted(value) for name, value in (told | self._commit()).items() if value is not None}

    def environment(self, submission_id: str) -> dict[str, str]:
        """Variables of the job, from which its run records where its code came from."""
        told = {SUBMISSION_VARIABLE: submission_id, SOURCE_VARIABLE: "image"}
        if self.working_dir is not None:
            # What the image says of its own code is not so of the folder's.
            commit = self._commit()
            told[SOURCE_VARIABLE] = "working_dir"
            told |= {COMMIT_VARIABLE: commit.get(GIT_COMMIT, ""), MODIFIED_VARIABLE: commit.get(MODIFIED_TAG, "")}
        return told | ({} if self.image is None else {IMAGE_VARIABLE: self.image})

    @property
    def _is_in_a_named_image(self) -> bool:
        """Whether the code is an image's whose name is known: what lies here says nothing of it, the image does."""
        return self.image is not None and self.working_dir is None

    def _commit(self) -> dict[str, str]:
        """The commit of the checkout that this runs in, where the job's code may be its."""
        if self._is_in_a_named_image:
            return {}
        return {name: value for name, value in code_tags().items() if name in COMMIT_TAGS}


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job: its id, how it stands, which attempt it is, and whether this call started it."""

    submission_id: str
    state: JobState
    attempt: int
    is_new: bool = False


def submit(job: StepJob, client: JobClient, patience_s: float = 60.0) -> Submitted:
    """Start a step, unless it runs, waits or is done; one that failed or was stopped is tried again.

    A cluster that is starting is waited for; raises SubmissionError where it takes no job.
    """
    latest = latest_of(job, client)
    if latest.state not in (JobState.NOT_SUBMITTED, JobState.FAILED, JobState.STOPPED):
        return latest
    attempt = latest.attempt + 1
    submission_id = f"{job.name}-{attempt}"
    runtime: dict[str, Any] = {"env_vars": job.environment(submission_id) | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}}
    if job.working_dir is not None:
        runtime["working_dir"] = job.working_dir
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            client.submit_job(
                entrypoint=job.entrypoint,
                submission_id=submission_id,
                runtime_env=runtime,
                metadata=job.metadata(attempt),
            )
        except RuntimeError as error:
            # The id is taken where somebody else submitted the same between our look and our call.
            there = latest_of(job, client)
            if there.submission_id == submission_id:
                return there
            if _LATER not in str(error) or time.monotonic() > deadline_s:
                raise SubmissionError(f"{submission_id} was not taken: {error}") from error
            time.sleep(_RETRY_S)
        else:
            return Submitted(submission_id, JobState.PENDING, attempt, is_new=True)


def latest_of(job: StepJob, client: JobClient) -> Submitted:
    """The latest attempt of a step."""
    found = sorted(_attempts(job, client), key=lambda one: one.attempt)
    return found[-1] if found else Submitted(job.name, JobState.NOT_SUBMITTED, 0)


def known(job: StepJob, client: JobClient) -> Submitted:
    """The latest attempt; raises UnknownJobError where there is none."""
    latest = latest_of(job, client)
    if latest.state is JobState.NOT_SUBMITTED:
        raise UnknownJobError(f"{job.step} of {job.run} was not submitted there; `levo submit` does it")
    return latest


def _attempts(job: StepJob, client: JobClient) -> Iterator[Submitted]:
    for found in client.list_jobs():
        name, _, attempt = str(found.submission_id or "").rpartition("-")
        if name == job.name and attempt.isdigit():
            yield Submitted(str(found.submission_id), JobState(str(found.status.value).lower()), int(attempt))
