"""The refresh benchmark's trials and their tables: kills, gates, nights in a row, and work beside work."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.benchmarks.arms import machine

if TYPE_CHECKING:
    from jobs.benchmarks.refresh_line import TrialLine

Trial = Literal["kills", "first-kill", "gate", "nights", "overlap", "carry"]


@dataclass(frozen=True, slots=True)
class RefreshTrial:
    """A trial over a run, in a folder where what is finished is found again."""

    name: Trial
    run: Path
    recipe: str
    folder: Path
    number: int | None
    """Kills, seeds, nights or rounds; as each trial has it where it is None."""
    seed: int = 0
    """Of the moments of kills, and of a line's prompts and songs."""
    on_ray: bool = False
    """For kills, the gate and nights."""

    def count(self, usual: int) -> int:
        """The number that was asked for, or the usual one."""
        return usual if self.number is None else self.number


def bench_refresh(asked: RefreshTrial, *, as_json: bool) -> str:
    """Do a trial; lines of progress go to standard error."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    found, table = _TRIALS[asked.name](asked)
    if as_json:
        return json.dumps(asdict(found) if not isinstance(found, tuple) else [asdict(one) for one in found])
    return f"refresh, {asked.name}, recipe {asked.recipe}, {machine()}\n\n{table}"


def _kills(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_kills import compare_kills

    with _calm_line(asked) as line:
        found = compare_kills(line, asked.count(20), asked.seed, _tell)
    rows = [
        f"a night: {found.night_s:.1f} s, its start included; champions of three calm ones: {found.num_champions}",
        f"three nights, one killed and done again, one run twice: {_yes(found.three_nights_equal)}; the repeat changed "
        f"nothing: {_yes(found.repeat_changed_nothing)}",
        f"kills: {found.num_equal} of {len(found.runs)} equal; lost {sum(one.num_lost for one in found.runs)}, "
        f"doubled {sum(one.num_doubled for one in found.runs)} pairs",
    ]
    return found, "\n".join(rows)


def _first_kill(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_kills import kill_first_night

    with _calm_line(asked) as line:
        found = kill_first_night(line, asked.seed, _tell)
    killed = found.killed
    rows = [
        f"a night: {found.night_s:.1f} s, its start included; {found.num_pairs} pairs, "
        f"{'another champion' if found.is_promoted else 'the same champion'}",
        f"killed after {killed.after_s:.1f} s, {'after' if killed.had_committed else 'before'} its commit, and done "
        f"again in {killed.again_s:.1f} s: {_yes(killed.is_equal)}; lost {killed.num_lost}, doubled "
        f"{killed.num_doubled} pairs",
        f"the same date a second time changed nothing: {_yes(found.repeat_changed_nothing)}",
    ]
    return found, "\n".join(rows)


def _gate(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_gate import EQUAL, WORSE, try_gate
    from jobs.benchmarks.refresh_line import TrialLine

    line = TrialLine(asked.run, asked.recipe, asked.folder, on_ray=asked.on_ray)
    found = try_gate(line, asked.count(10), _tell)
    rows = ["| candidate | refused | of |", "|---|---|---|"]
    for name in (WORSE, EQUAL):
        told = [one for one in found if one.candidate == name]
        rows.append(f"| {name} | {sum(not one.is_promoted for one in told)} | {len(told)} |")
    return found, "\n".join(rows)


def _nights(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_line import TrialLine
    from jobs.benchmarks.refresh_nights import ERROR_RATES, run_nights

    line = TrialLine(asked.run, asked.recipe, asked.folder / f"nights-{asked.seed}", on_ray=asked.on_ray)
    found = run_nights(line, asked.count(10), asked.seed, _tell)
    rows = ["| night | new pairs | aged | drift | trained on | gate | champion |", "|---|---|---|---|---|---|---|"]
    rows += [
        f"| {one.date} | {one.num_new_pairs} | {one.num_aged} | {one.policy_drift:.3f} | "
        f"{', '.join(one.trained) or 'nothing'} | {one.gate} | {one.champion} |"
        for one in found.nights
    ]
    names = [metric.name for metric in ERROR_RATES]
    columns = " | ".join(f"{name} on the report prompts | against the one before" for name in names)
    rows += ["", f"| champion | since | {columns} |", "|---" * (2 + 2 * len(names)) + "|"]
    for one in found.champions:
        told = [f"{one.error_rates[name].mean:.3f} | {_shown(one.differences.get(name))}" for name in names]
        rows.append(f"| {one.digest[:12]} | {one.date or 'the run'} | {' | '.join(told)} |")
    whole = [f"{name} {_shown(found.last_against_first.get(name))}" for name in names]
    return found, "\n".join([*rows, "", f"last against first: {'; '.join(whole)}"])


def _overlap(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_overlap import compare_overlap

    found = compare_overlap(asked.run, asked.recipe, asked.folder, asked.count(3), _tell)
    return found, found.table


def _carry(asked: RefreshTrial) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_carry import compare_carry

    found = compare_carry(asked.run, asked.recipe, asked.folder, asked.count(3))
    return found, found.table


@contextmanager
def _calm_line(asked: RefreshTrial) -> Iterator["TrialLine"]:
    """The line that kills are held against, in a folder that goes with the block; its gate lets every candidate in."""
    from jobs.benchmarks.refresh_line import TrialLine

    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        yield TrialLine(asked.run, asked.recipe, Path(place) / "calm", opens_gate=True, on_ray=asked.on_ray)


def _tell(what: object) -> None:
    print(what, file=sys.stderr, flush=True)


def _yes(holds: bool) -> str:
    return "equal" if holds else "DIFFERENT"


def _shown(interval: Any) -> str:
    return "-" if interval is None else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


_TRIALS = {
    "kills": _kills,
    "first-kill": _first_kill,
    "gate": _gate,
    "nights": _nights,
    "overlap": _overlap,
    "carry": _carry,
}
