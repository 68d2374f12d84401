"""Kills at random moments of nights: whether the line comes to the same pairs and champion as an undisturbed one.

Every night that trains changes the champion (`refresh_open_gate`), so that kills fall around a promotion too.
"""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs.benchmarks.refresh_line import LineState, TrialLine, state_of
from pipelines.refresh.store import RefreshStore

DATES = ("2026-01-01", "2026-01-02", "2026-01-03")


@dataclass(frozen=True, slots=True)
class KilledNight:
    """A night that was killed after so many seconds and done again: whether it came to the same, and what was kept."""

    date: str
    after_s: float
    had_committed: bool
    is_equal: bool
    num_lost: int
    num_doubled: int
    again_s: float


@dataclass(frozen=True, slots=True)
class RefreshKills:
    """All killed nights, the seconds of an undisturbed one, and the nights in a row with a kill and a repeat."""

    night_s: float
    runs: tuple[KilledNight, ...]
    num_champions: int
    """In the undisturbed line's three nights."""
    three_nights_equal: bool
    repeat_changed_nothing: bool

    @property
    def num_equal(self) -> int:
        """Nights that came to the undisturbed one's pairs and champion."""
        return sum(one.is_equal for one in self.runs)


def compare_kills(
    calm: TrialLine, num_runs: int, seed: int = 0, progress: Callable[[object], None] | None = None
) -> RefreshKills:
    """Do three nights undisturbed on a new line; then three with one killed and one run twice; then kill the second
    night again and again, each time from the first night's state. All lines lie beside the undisturbed one.
    """
    tell, generator, folder = progress or (lambda _: None), random.Random(seed), calm.store.parent
    began_s = time.monotonic()
    calm.finish_night(DATES[0])
    shutil.copytree(calm.store, folder / "first")
    middle_s = time.monotonic()
    calm.finish_night(DATES[1])
    night_s = time.monotonic() - middle_s
    second = state_of(calm.store)
    calm.finish_night(DATES[2])
    tell(f"undisturbed: {time.monotonic() - began_s:.1f} s for three nights, {night_s:.1f} s for the second")
    three, unchanged = _three_nights(replace(calm, store=folder / "three"), night_s, generator)
    equal = three == state_of(calm.store)
    tell(f"three nights, one killed, one run twice: {'equal' if equal else 'DIFFERENT'}")
    runs = []
    for number in range(num_runs):
        line = replace(calm, store=folder / f"killed-{number}")
        shutil.copytree(folder / "first", line.store)
        runs.append(_killed(line, DATES[1], generator.uniform(0.0, 1.0) * night_s, second))
        shutil.rmtree(line.store)
        tell(runs[-1])
    champions = {commit.champion.digest for commit in RefreshStore(calm.store).commits.history()}
    return RefreshKills(night_s, tuple(runs), len(champions), equal, unchanged)


@dataclass(frozen=True, slots=True)
class FirstNight:
    """A line's first night, undisturbed and killed once, and whether doing it a second time changed nothing."""

    night_s: float
    killed: KilledNight
    num_pairs: int
    is_promoted: bool
    repeat_changed_nothing: bool


def kill_first_night(calm: TrialLine, seed: int = 0, progress: Callable[[object], None] | None = None) -> FirstNight:
    """Do the first night of two lines of one recipe, one of them killed at a random moment: for large recipes."""
    tell, date, began_s = progress or (lambda _: None), DATES[0], time.monotonic()
    calm.finish_night(date)
    night_s, expected = time.monotonic() - began_s, state_of(calm.store)
    tell(f"undisturbed: {night_s:.1f} s")
    calm.finish_night(date)
    unchanged = state_of(calm.store) == expected
    line = replace(calm, store=calm.store.parent / "killed")
    killed = _killed(line, date, random.Random(seed).uniform(0.2, 0.9) * night_s, expected)
    tell(killed)
    last, *_, first = RefreshStore(calm.store).commits.history()
    return FirstNight(night_s, killed, len(expected.rows), first.champion != last.champion, unchanged)


def _three_nights(line: TrialLine, night_s: float, generator: random.Random) -> tuple[LineState, bool]:
    line.finish_night(DATES[0])
    before = state_of(line.store)
    line.finish_night(DATES[0])
    unchanged = state_of(line.store) == before
    _kill(line.start_night(DATES[1]), generator.uniform(0.2, 0.9) * night_s)
    line.finish_night(DATES[1])
    line.finish_night(DATES[2])
    return state_of(line.store), unchanged


def _killed(line: TrialLine, date: str, after_s: float, expected: LineState) -> KilledNight:
    nights = _nights_of(line)
    _kill(line.start_night(date), after_s)
    had_committed = _nights_of(line) > nights
    began_s = time.monotonic()
    line.finish_night(date)
    found = state_of(line.store)
    ids = {row.pair.pair_id for row in found.rows}
    return KilledNight(
        date=date,
        after_s=after_s,
        had_committed=had_committed,
        is_equal=found == expected,
        num_lost=sum(row.pair.pair_id not in ids for row in expected.rows),
        num_doubled=found.num_doubled,
        again_s=time.monotonic() - began_s,
    )


def _nights_of(line: TrialLine) -> int:
    """How many nights are committed."""
    return sum(commit.night is not None for commit in RefreshStore(line.store).commits.history())


def _kill(process: "subprocess.Popen[str]", after_s: float) -> None:
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
