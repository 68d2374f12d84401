"""The refresh benchmark's trials and their tables: kills, gates, nights in a row, and work beside work."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jobs.benchmarks.arms import machine

Trial = Literal["kills", "gate", "nights", "overlap", "carry"]


def bench_refresh(trial: Trial, run: Path, recipe: str, out: Path, number: int | None, *, as_json: bool) -> str:
    """Do a trial under `out`, where what is finished is found again; lines of progress go to standard error."""
    folder = out / "refresh" / f"{recipe}-{trial}"
    folder.mkdir(parents=True, exist_ok=True)
    found, table = _TRIALS[trial](run, recipe, folder, number)
    if as_json:
        return json.dumps(asdict(found) if not isinstance(found, tuple) else [asdict(one) for one in found])
    return f"refresh, {trial}, recipe {recipe}, {machine()}\n\n{table}"


def _kills(run: Path, recipe: str, folder: Path, number: int | None) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_kills import compare_kills

    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = compare_kills(run, recipe, Path(place), 20 if number is None else number, progress=_tell)
    rows = [
        f"a night: {found.night_s:.1f} s, its start included; champions of three calm ones: {found.num_champions}",
        f"three nights, one killed and done again, one run twice: {_yes(found.three_nights_equal)}; the repeat changed "
        f"nothing: {_yes(found.repeat_changed_nothing)}",
        f"kills: {found.num_equal} of {len(found.runs)} equal; lost {sum(one.num_lost for one in found.runs)}, "
        f"doubled {sum(one.num_doubled for one in found.runs)} pairs",
    ]
    return found, "\n".join(rows)


def _gate(run: Path, recipe: str, folder: Path, number: int | None) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_gate import EQUAL, WORSE, try_gate

    found = try_gate(run, recipe, folder, 10 if number is None else number, _tell)
    rows = ["| candidate | refused | of |", "|---|---|---|"]
    for name in (WORSE, EQUAL):
        asked = [one for one in found if one.candidate == name]
        rows.append(f"| {name} | {sum(not one.is_promoted for one in asked)} | {len(asked)} |")
    return found, "\n".join(rows)


def _nights(run: Path, recipe: str, folder: Path, number: int | None) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_nights import run_nights

    found = run_nights(run, recipe, folder, 10 if number is None else number, _tell)
    rows = ["| night | new pairs | aged | drift | trained on | gate | champion |", "|---|---|---|---|---|---|---|"]
    rows += [
        f"| {one.date} | {one.num_new_pairs} | {one.num_aged} | {one.policy_drift:.3f} | "
        f"{', '.join(one.trained) or 'nothing'} | {one.gate} | {one.champion} |"
        for one in found.nights
    ]
    rows += ["", "| champion | since | report PER | against the one before |", "|---|---|---|---|"]
    rows += [
        f"| {one.digest[:12]} | {one.date or 'the run'} | {one.error_rate.mean:.3f} | {_shown(one.difference)} |"
        for one in found.champions
    ]
    return found, "\n".join([*rows, "", f"last against first: {_shown(found.last_against_first)}"])


def _overlap(run: Path, recipe: str, folder: Path, number: int | None) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_overlap import compare_overlap

    found = compare_overlap(run, recipe, folder, 3 if number is None else number, _tell)
    return found, found.table


def _carry(run: Path, recipe: str, folder: Path, number: int | None) -> tuple[Any, str]:
    from jobs.benchmarks.refresh_carry import compare_carry

    found = compare_carry(run, recipe, folder, 3 if number is None else number)
    return found, found.table


def _tell(what: object) -> None:
    print(what, file=sys.stderr, flush=True)


def _yes(holds: bool) -> str:
    return "equal" if holds else "DIFFERENT"


def _shown(interval: Any) -> str:
    return "-" if interval is None else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


_TRIALS = {"kills": _kills, "gate": _gate, "nights": _nights, "overlap": _overlap, "carry": _carry}
