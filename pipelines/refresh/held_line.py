"""A line of champions that one process alone works on: its lease is kept, and its head fenced before it is read."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.refresh.commits import CommitLog
from pipelines.refresh.lease import Lease, kept
from pipelines.refresh.store import RefreshStore


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A line that this process alone works on: commits with their head fenced, and what raises once that is lost."""

    lease: Lease
    commits: CommitLog
    check: Callable[[], None]


@contextmanager
def held_line(store: RefreshStore, lease_s: float) -> Iterator[HeldLine]:
    """Hold a line's lease while the block lasts.

    The head is fenced before anything is read: what an earlier holder commits later cannot come in between.
    """
    lease, commits = Lease(store.lease, holder_name(), lease_s), store.commits
    token = lease.take_over()
    try:
        commits.fence(token)
        with kept(lease) as check:
            yield HeldLine(lease, commits, check)
    finally:
        lease.give_back()


def holder_name() -> str:
    """Who works: host and process."""
    return f"{socket.gethostname()}/{os.getpid()}"
