"""Kills at random moments of the corpus flow: whether the corpus comes out the same, and how much is done again."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.benchmarks.faulty_run import NODE, NUM_WORKERS, PROGRAM, WORKER, FaultyRun

KILLS = (WORKER, NODE, PROGRAM)


@dataclass(frozen=True, slots=True)
class KilledRun:
    """What was killed and when, whether the snapshot was the undisturbed one, and how many songs were heard twice."""

    kill: str
    after_s: float
    is_equal: bool
    num_redone: int


@dataclass(frozen=True, slots=True)
class Faults:
    """All killed runs of so many songs on so many workers."""

    num_songs: int
    num_workers: int
    runs: tuple[KilledRun, ...]

    @property
    def num_equal(self) -> int:
        """Runs whose snapshot is the undisturbed one's."""
        return sum(run.is_equal for run in self.runs)

    @property
    def most_redone(self) -> int:
        """The most songs that any run heard twice."""
        return max(run.num_redone for run in self.runs)


@dataclass(frozen=True, slots=True)
class _Call:
    song: str
    time_s: float


def compare_faults(
    recordings: Path,
    models: Path,
    num_runs: int = 20,
    seed: int = 0,
    progress: Callable[[KilledRun], None] | None = None,
) -> Faults:
    """Prepare a corpus undisturbed, then again and again with a kill each; a killed program is started again.

    Kills of a worker, a node and the whole program take turns, at a random moment between the first song and the last
    of an undisturbed run. Raises `RuntimeError` where a run fails.
    """
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        expected, calls = _run(recordings, models, whole, None, 0.0)
        longest_s = calls[-1].time_s - calls[0].time_s
        runs = []
        for number in range(num_runs):
            kill, after_s = KILLS[number % len(KILLS)], generator.uniform(0, longest_s)
            place = Path(folder) / f"run{number}"
            found, heard = _run(recordings, models, place, kill, after_s)
            num_redone = len(heard) - len({call.song for call in heard})
            runs.append(KilledRun(kill, round(after_s, 2), found == expected, num_redone))
            shutil.rmtree(place)
            if progress:
                progress(runs[-1])
    return Faults(len(calls), NUM_WORKERS, tuple(runs))


def _run(recordings: Path, models: Path, place: Path, kill: str | None, after_s: float) -> tuple[str, list[_Call]]:
    place.mkdir()
    calls = place / "calls"
    run = FaultyRun(str(recordings.resolve()), str(place / "corpus"), str(models.resolve()), str(calls), kill, after_s)
    done = _program(run)
    if kill == PROGRAM and done.returncode < 0:
        done = _program(FaultyRun(**asdict(run) | {"kill": None}))
    if done.returncode:
        raise RuntimeError(f"a run with a killed {kill} failed: {done.stderr.strip()[-500:]}")
    heard = [line.split() for line in calls.read_text().splitlines()]
    return done.stdout.split()[-1], [_Call(song, float(time_s)) for song, time_s in heard]


def _program(run: FaultyRun) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.benchmarks.faulty_run", json.dumps(asdict(run))]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
