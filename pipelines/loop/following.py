"""The model that a service should sing by, as somebody else names it, and what to do when it names another.

What is named may be missing, damaged or of another shape. It is refused then, said once, and tried again later: its
files may still be on their way.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from levo.model.store import ModelFolderError, load_config, model_digest
from pipelines.loop.model_pointer import read_pointer
from pipelines.loop.serving import check_replacement

_LOG = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model by its folder, and by its digest where whoever names it knows that."""

    folder: Path
    digest: str | None = None


class Followed(Protocol):
    """Names the model that a service should sing by; small and picklable, and its text says what it is."""

    def named(self) -> NamedModel:
        """The model that is named now; raises OSError or ValueError where none is, or nobody answers."""
        ...


@dataclass(frozen=True, slots=True)
class FollowedPointer:
    """A pointer file that somebody else moves, such as a store's champion."""

    pointer: Path

    def named(self) -> NamedModel:
        """What the file says."""
        folder = read_pointer(self.pointer)
        if not folder.is_absolute():
            raise ValueError(f"{self.pointer} says {str(folder)!r}; expected the whole path of a model's folder")
        return NamedModel(folder)

    def __str__(self) -> str:
        return str(self.pointer)


@dataclass(slots=True)
class Follower:
    """Looks what is named, and remembers what was refused."""

    followed: Followed
    retry_s: float = 60.0
    now: Callable[[], float] = time.monotonic
    refusal: str | None = None
    """Why the model that is named, if any is, is not sung by."""
    _refused: NamedModel | None = field(default=None, init=False)
    _refused_at_s: float = field(default=0.0, init=False)

    def next_model(self, running: Path) -> NamedModel | None:
        """The model to swap to; None while the running one is to stay."""
        named: NamedModel | None = None
        try:
            named = self.followed.named()
            if named.folder == running:
                self._refused = self.refusal = None
                return None
            if named == self._refused and self.now() < self._refused_at_s + self.retry_s:
                return None
            check_named(named)
            check_replacement(running, named.folder)
        except (OSError, ValueError) as error:
            self.refuse(named, str(error))
            return None
        return named

    def refuse(self, named: NamedModel | None, reason: str) -> None:
        """Keep the running model, and say why unless that was said."""
        if reason != self.refusal:
            _LOG.warning("%s is not followed, the running model stays: %s", self.followed, reason)
        self.refusal, self._refused, self._refused_at_s = reason, named, self.now()


def check_named(named: NamedModel) -> None:
    """Raise `ModelFolderError` where the folder holds no model, or another than was named."""
    load_config(named.folder)
    if named.digest is not None and (found := model_digest(named.folder)) != named.digest:
        raise ModelFolderError(f"{named.folder} holds a model of digest {found}; {named.digest} was named")
