"""Rollback: the champion before becomes the champion again, as a commit of its own; pairs and nights stay."""

from pipelines.refresh.commits import ROLLBACK, Commit
from pipelines.refresh.held_line import held_line
from pipelines.refresh.store import RefreshStore


class NothingToRollBackError(ValueError):
    """A line without a champion before this one."""


def roll_back(store: RefreshStore, reason: str, lease_s: float = 60.0) -> Commit:
    """Make the previous champion the champion and this one the previous, so that to roll back twice changes nothing.

    Raises NothingToRollBackError where there is none, FileNotFoundError where its weights are gone, HeldLeaseError
    where a night is at work.
    """
    with held_line(store, lease_s) as held:
        head = held.commits.head()
        if head is None:
            raise NothingToRollBackError(f"{store.folder} holds no line of champions; `levo refresh` begins one")
        if head.previous is None:
            raise NothingToRollBackError(f"champion {head.champion.digest[:12]} is the first; there is none before it")
        if not store.model(head.previous).is_dir():
            raise FileNotFoundError(f"{store.model(head.previous)} is gone; the previous champion cannot come back")
        held.check()
        commit = held.commits.commit(
            Commit(ROLLBACK, None, head.previous, head.champion, head.pairs, note=reason.strip() or "no reason given")
        )
        store.show_champion(commit.champion)
        return commit
