"""A run's folder: it belongs to one configuration, and remembers which steps are done so that a rerun skips them."""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from levo.song.digest import digest_json
from levo.song.files import write_json
from pipelines.flow.resources import ResourceMonitor

_RUN_FILE = "run.json"
_STEP_FOLDER = "steps"
_LOCK_FILE = ".lock"


class ForeignFolderError(ValueError):
    """The folder holds another run, or files that no run of ours wrote."""


class ChangedStepError(ValueError):
    """A step that is done would come out otherwise now."""


class BusyFolderError(OSError):
    """Another process works in the folder."""


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder while the block lasts, however it ends."""
    with (folder / _LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyFolderError(f"another command is at work in {folder}; wait for its end or stop it") from None
        yield


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A finished step: what it was made of, what it gave, and what it cost."""

    name: str
    identity: str
    result: dict[str, Any]
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int = 0
    skipped: bool = False


class RunFolder:
    """Opens (or makes) the folder of one run; `key` names the run and is equal for equal configurations."""

    def __init__(self, folder: Path, config: Any) -> None:
        self.folder = folder
        self.key = digest_json(config)
        self._claim(config)

    def path(self, *parts: str) -> Path:
        """A path inside the run's folder."""
        return self.folder.joinpath(*parts)

    def finished(self, name: str, identity: str) -> StepRecord | None:
        """The record of a step that was done with exactly these inputs, else None."""
        file = self._step_file(name)
        if not file.exists():
            return None
        record = json.loads(file.read_text())
        if record["identity"] != identity:
            return None
        return StepRecord(**{**record, "skipped": True})

    def run_step(
        self,
        name: str,
        inputs: Any,
        act: Callable[[], dict[str, Any]],
        monitor: ResourceMonitor,
        *,
        may_redo: bool = False,
    ) -> StepRecord:
        """Do a step unless it is done already; its record is written only after `act` returned.

        Raises `ChangedStepError` where it was done with other inputs, unless it may be redone over what it left.
        """
        identity = digest_json({"step": name, "inputs": inputs, "run": self.key})
        done = self.finished(name, identity)
        if done is not None:
            return done
        if self._step_file(name).exists() and not may_redo:
            raise ChangedStepError(
                f"{self.folder}: the step {name!r} was done by another version of this program, and what follows rests "
                "on it; choose another --out, or remove the folder"
            )
        monitor.forget_peak()
        wall, cpu = time.monotonic(), monitor.cpu_seconds()
        result = act()
        cpu_s = max(0.0, monitor.cpu_seconds() - cpu)
        record = StepRecord(name, identity, result, time.monotonic() - wall, cpu_s, monitor.peak_memory_bytes)
        write_json(self._step_file(name), {key: value for key, value in asdict(record).items() if key != "skipped"})
        return record

    def _step_file(self, name: str) -> Path:
        return self.folder / _STEP_FOLDER / f"{name}.json"

    def _claim(self, config: Any) -> None:
        file = self.folder / _RUN_FILE
        if file.exists():
            owner = json.loads(file.read_text())
            if owner["key"] != self.key:
                raise ForeignFolderError(
                    f"{self.folder} belongs to another run (key {owner['key'][:12]}, this one {self.key[:12]}); "
                    "choose another --out, or remove the folder"
                )
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ForeignFolderError(f"{self.folder} is not empty and holds no {_RUN_FILE}; choose an empty folder")
        write_json(file, {"key": self.key, "config": config})


def read_config(folder: Path) -> Any:
    """What a run's folder was claimed with, as JSON; raises `ForeignFolderError` where it is no run's."""
    if not (folder / _RUN_FILE).is_file():
        raise ForeignFolderError(f"{folder} holds no {_RUN_FILE}; expected the folder of a run")
    return json.loads((folder / _RUN_FILE).read_text())["config"]


def remove_tree(folder: Path) -> None:
    """Remove what an interrupted step left, so that it starts from nothing."""
    if folder.exists():
        shutil.rmtree(folder)
