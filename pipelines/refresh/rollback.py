"""Rollback: an earlier champion becomes the champion again, as a commit of its own; pairs and nights stay."""

from dataclasses import dataclass

from pipelines.refresh.commits import ROLLBACK, Commit, ModelEntry
from pipelines.refresh.held_line import held_line
from pipelines.refresh.model_lookup import model_beginning
from pipelines.refresh.store import RefreshStore


class NothingToRollBackError(ValueError):
    """A line without the champion that is asked for."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The commit by which the champion is what it is, and whether this call made it."""

    commit: Commit
    is_new: bool


def roll_back(store: RefreshStore, reason: str, to: str | None = None, lease_s: float = 60.0) -> RolledBack:
    """Make the champion before this one the champion again, or one by the beginning of its digest (`to`).

    The one that it followed becomes the previous, so that what was rolled back comes back only where it is asked for by
    its digest. A line whose last commit is a rollback is left as it is unless `to` asks for another: to repeat one that
    was interrupted finishes it.

    Raises NothingToRollBackError where there is no champion before, UnknownModelError where the line never had the one
    asked for, FileNotFoundError where its weights are gone, HeldLeaseError where a night is at work.
    """
    with held_line(store, lease_s) as held:
        head = held.commits.head()
        if head is None:
            raise NothingToRollBackError(f"{store.folder} holds no line of champions; `levo refresh` begins one")
        history = list(held.commits.history())
        target = _before(head) if to is None else model_beginning((one.champion for one in history), to, "champions")
        if target.digest == head.champion.digest:
            store.show_head()
            return RolledBack(head, is_new=False)
        if not store.model(target).is_dir():
            raise FileNotFoundError(f"{store.model(target)} is gone; that champion cannot come back")
        held.check()
        predecessor = next(one.previous for one in history if one.champion.digest == target.digest)
        note = reason.strip() or "no reason given"
        commit = held.commits.commit(Commit(ROLLBACK, None, target, predecessor, head.pairs, note=note))
        store.show_head()
        return RolledBack(commit, is_new=True)


def _before(head: Commit) -> ModelEntry:
    if head.kind == ROLLBACK:
        return head.champion
    if head.previous is None:
        raise NothingToRollBackError(f"champion {head.champion.digest[:12]} is the first; there is none before it")
    return head.previous
