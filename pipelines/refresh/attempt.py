"""An attempt at a night: steps in its own folder, and what earlier attempts finished taken over."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levo.song.digest import digest_json
from pipelines.refresh.lease import Lease
from pipelines.refresh.night_journal import NightEvent, NightJournal

_WORK = "work"


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """A finished step: what it gave, the folder of its files, and whether an earlier attempt had done it."""

    result: dict[str, Any]
    folder: Path
    wall_s: float
    is_reused: bool


class Attempt:
    """Steps in order; each is done once a night for the same inputs, whatever ends attempts in between.

    `work` is for what a step begins and another attempt may go on with; a new attempt takes the last one's over by
    renaming it, so that a ghost finds it gone. A finished step's files stay in the attempt that finished it.
    """

    def __init__(self, night: Path, lease: Lease, inputs: Any, on_step: Callable[[str], None] | None = None) -> None:
        self._night, self._lease = night, lease
        self._journal = NightJournal(night / "journal.jsonl")
        self._after = digest_json(inputs)
        self._on_step = on_step or (lambda _: None)
        self.token = lease.token
        self.folder = self._folder_of(self.token)
        self.work = self.folder / _WORK
        self._take_over()
        self._journal.add(self.token, NightEvent.BEGAN)

    def step(self, name: str, act: Callable[[Path], dict[str, Any]], inputs: Any = None) -> StepOutcome:
        """Do a step unless it is done: `act` gets an empty folder for its files and gives plain values.

        A result is as the journal gives it back, whether it is read there or was just made.
        """
        identity = digest_json({"step": name, "inputs": inputs, "after": self._after})
        self._after = identity
        done = self._journal.done(name, identity)
        if done is not None and (folder := self._folder_of(done.attempt) / name).is_dir():
            return StepOutcome(done.result, folder, done.wall_s, is_reused=True)
        self._on_step(name)
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began_s = time.monotonic()
        try:
            result: dict[str, Any] = json.loads(json.dumps(act(folder)))
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
            self._journal.add(self.token, NightEvent.FAILED, name, identity, told)
            raise
        wall_s = time.monotonic() - began_s
        self._lease.check()
        self._journal.add(self.token, NightEvent.DONE, name, identity, result, wall_s)
        return StepOutcome(result, folder, wall_s, is_reused=False)

    def committed(self, commit_id: str) -> None:
        """The night is done; what was begun for it goes."""
        self._journal.add(self.token, NightEvent.COMMITTED, result={"commit": commit_id})
        shutil.rmtree(self.work, ignore_errors=True)

    def _take_over(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for earlier in sorted(self._night.glob(f"attempt-*/{_WORK}"), reverse=True):
            if earlier != self.work and not self.work.exists():
                earlier.rename(self.work)
        self.work.mkdir(exist_ok=True)

    def _folder_of(self, token: int) -> Path:
        return self._night / f"attempt-{token:06d}"
