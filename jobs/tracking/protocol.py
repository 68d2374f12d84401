"""What a tracker is: one parent run per run key, a child per step, and what may be logged to either.

A run is addressed by its key and step, never by an identifier that a server hands out, so that nothing waits for a
server, and a run that is resumed continues the run it began. Saying a thing twice is as saying it once: a resumed run
may log all of a step again, and what was lost is added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

Parameter = str | int | float | bool | None
GIT_COMMIT = "git_commit"
"""The tag that names the code's commit."""
CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"
"""Aliases in the registry: what goes to the gate next (of a run its interpolation, within the limits or not), what the
gate let through, and the one before."""


class RunStatus(StrEnum):
    """How a run ended."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """A table or collection that a step read or wrote: where it lies and the digest of its content."""

    name: str
    digest: str
    uri: str
    num_rows: int


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model by where its weights lie and their SHA-256; the weights themselves are not copied."""

    name: str
    uri: str
    sha256: str


class TrackedRun(Protocol):
    """One run, the parent of a whole loop or the child of one of its steps."""

    def log_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """What the run was made with; a name keeps its first value."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Numbers at a step; not-a-number and infinities are kept as they are.

        At a step above 0 they are a curve's point, which stays as it was first given.
        """

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Labels to find the run by; the last value of a name counts."""

    def log_dataset(self, dataset: DatasetReference, context: str) -> None:
        """Lineage: what was read (`input`, `training`, `evaluation`) or written (`output`)."""

    def log_artifact(self, file: Path, folder: str = "") -> None:
        """Keep a file with the run, in `folder` of its artifacts."""

    def log_table(self, name: str, columns: Mapping[str, Sequence[Parameter]]) -> None:
        """Keep a table with the run, shown beside those of the same name of other runs; the last of a name counts.

        Raises ValueError for columns of unequal lengths.
        """

    def log_model(self, model: ModelReference, alias: str | None = None) -> None:
        """Register a model made by this run, once per digest; an alias (candidate) moves to it.

        Aliases that belong to decisions (champion, previous) are moved by `log_aliases`.
        """

    def log_aliases(self, name: str, aliases: Mapping[str, str | None], decision: int) -> None:
        """Aliases of a registered model move to the versions of these SHA-256, in this order; None takes one away.

        Versions are named and not "what is champion now", so that to say it twice is to say it once. `decision` counts
        the decisions on this model: an alias that a later decision has moved stays where it is, whenever this one is
        delivered.
        """

    def log_model_input(self, model: ModelReference) -> None:
        """Lineage: a model that was registered before and that this run used."""

    def finish(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """End the run; a run that is resumed may be ended again."""


class Tracker(Protocol):
    """Where runs are kept."""

    def run(self, run_key: str, name: str) -> TrackedRun:
        """The parent run of a key: begun once, and found again on resume."""

    def step(self, run_key: str, step: str) -> TrackedRun:
        """The child run of a step: begun once under its parent, and found again on resume.

        A part of a step is named after it, `train/extend`, and lies below it. Asking for a finished run leaves it
        finished, so that a step that is skipped needs no second end.
        """

    def close(self) -> int:
        """Deliver what can be delivered; returns how many events still wait for their server."""
