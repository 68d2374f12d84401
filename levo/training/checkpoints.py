"""Where a phase's state is kept on the way: the protocol, and folders on a disk."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from levo.song.files import staged_folder
from levo.training.engine import Engine
from levo.training.seals import check_seals, seal

PROGRESS_FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class SavedStep:
    """A state on disk: the phase that it belongs to, and the optimiser steps taken."""

    folder: Path
    identity: str
    step: int


class Checkpoints(Protocol):
    """Keeps engine states; every worker calls both methods."""

    def load_latest(self, engine: Engine, identity: str) -> int:
        """Bring the engine to the last saved step of this phase; the steps taken, 0 where none is saved."""

    def save(self, engine: Engine, identity: str, step: int) -> None:
        """Keep the engine's state."""


def write_progress(folder: Path, identity: str, step: int) -> None:
    """Say in a checkpoint folder what it is."""
    (folder / PROGRESS_FILE).write_text(json.dumps({"identity": identity, "step": step}))


def read_progress(folder: Path) -> SavedStep:
    """What `write_progress` said."""
    progress = json.loads((folder / PROGRESS_FILE).read_text())
    return SavedStep(folder, progress["identity"], progress["step"])


def load_checked(engine: Engine, folder: Path) -> None:
    """Bring the engine to a saved state; raises `CheckpointRefusedError`, with nothing read, where a seal is broken."""
    check_seals(folder)
    engine.load(folder)


class FolderCheckpoints:
    """One process' states in a folder, of which the newest is kept."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist yet."""
        self._folder = folder

    def load_latest(self, engine: Engine, identity: str) -> int:
        """Bring the engine to the newest state of this phase."""
        saved = [read_progress(path.parent) for path in self._folder.glob(f"step-*/{PROGRESS_FILE}")]
        own = [state for state in saved if state.identity == identity]
        if not own:
            return 0
        latest = max(own, key=lambda state: state.step)
        load_checked(engine, latest.folder)
        return latest.step

    def save(self, engine: Engine, identity: str, step: int) -> None:
        """Write the state whole, then remove older ones."""
        folder = self._folder / f"step-{step:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        with staged_folder(folder) as staging:
            engine.save(staging)
            write_progress(staging, identity, step)
            seal(staging)
        for older in self._folder.glob("step-*"):
            if older != folder:
                shutil.rmtree(older)
