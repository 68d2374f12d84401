"""Arms of a benchmark: each in a process of its own, so that neither memory nor caches of one reach another."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Measured:
    """What an arm took: seconds of each repeat, the peak of memory above what it began with, and a value to compare."""

    seconds: tuple[float, ...]
    peak_bytes: int
    value: float

    @property
    def median_s(self) -> float:
        """The middle repeat."""
        return median(self.seconds)


def measured(prepare: Callable[[], Callable[[], float]], num_repeats: int, num_warmups: int = 1) -> Measured:
    """Run what `prepare` makes, a few times; the value is the last repeat's. For an arm's own process."""
    before = _peak_bytes()
    act = prepare()
    for _ in range(num_warmups):
        act()
    seconds, value = [], 0.0
    for _ in range(num_repeats):
        begun = time.perf_counter()
        value = act()
        seconds.append(time.perf_counter() - begun)
    return Measured(tuple(seconds), _peak_bytes() - before, value)


def run_arm(
    module: str, arm: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Measured:
    """Run `module` as a program that prints what it `measured` of an arm; raises `RuntimeError` with its last lines.

    `environment` is added to that program's.
    """
    command = [sys.executable, "-m", module, arm, json.dumps(dict(settings))]
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)  # noqa: S603 - our own
    if done.returncode:
        raise RuntimeError(f"arm {arm} of {module} failed: {done.stderr.strip()[-500:]}")
    plain = json.loads(done.stdout.splitlines()[-1])
    return Measured(tuple(plain["seconds"]), plain["peak_bytes"], plain["value"])


def print_measured(found: Measured) -> None:
    """What `run_arm` reads."""
    print(json.dumps(asdict(found)))


def in_turn(
    module: str,
    arms: Sequence[str],
    settings: Mapping[str, Any],
    num_rounds: int,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Measured]:
    """Arms by turns, so that a slow spell of the machine falls on all; seconds of all rounds, the largest peak.

    `environments` holds, by the arm's name, what is added to its environment.
    """
    rounds: dict[str, list[Measured]] = {arm: [] for arm in arms}
    for _ in range(num_rounds):
        for arm in arms:
            rounds[arm].append(run_arm(module, arm, settings, (environments or {}).get(arm)))
    return {
        arm: Measured(
            tuple(second for one in found for second in one.seconds),
            max(one.peak_bytes for one in found),
            found[-1].value,
        )
        for arm, found in rounds.items()
    }


def machine() -> str:
    """Where figures were taken."""
    return f"{platform.machine()}, {os.cpu_count()} CPU cores"


def _peak_bytes() -> int:
    """The most that this program has held since it began.

    `ru_maxrss` would also count what the process that started it held.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status tells no VmHWM; memory is measured on Linux alone")
