"""The fault benchmark's corpus and its table."""

import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from jobs.benchmarks.arms import machine
from jobs.benchmarks.faults import KILLS, Faults, KilledRun, compare_faults
from pipelines.rendered.catalogue import RenderedCorpusConfig
from pipelines.rendered.corpus import write_corpus
from pipelines.rendered.world import WorldConfig

_SEED = 20


def bench_faults(models: Path, num_runs: int, num_songs: int, *, as_json: bool) -> str:
    """Render songs, kill, compare; a line for each run goes to standard error as it ends."""
    if num_runs < 1 or num_songs < 1:
        raise ValueError(f"--runs is {num_runs}, --songs {num_songs}; expected 1 or more")
    with tempfile.TemporaryDirectory() as folder:
        config = RenderedCorpusConfig(num_songs, 0, 0, _SEED, world=WorldConfig())
        written = write_corpus(config, Path(folder) / "songs", lambda _done, _all: None, num_workers=1)
        found = compare_faults(written.folder / "audio", models, num_runs, progress=_tell)
    return json.dumps(asdict(found)) if as_json else _table(found)


def _tell(run: KilledRun) -> None:
    outcome = "equal" if run.is_equal else "DIFFERENT"
    print(f"{run.kill} after {run.after_s:.1f} s: {outcome}, {run.num_redone} songs heard twice", file=sys.stderr)


def _table(found: Faults) -> str:
    lines = [
        f"faults, {machine()}, {found.num_songs} songs on {found.num_workers} workers of one song each",
        "",
        "| killed | runs | snapshot equal | songs heard twice: mean, most |",
        "|---|---|---|---|",
    ]
    for kill in KILLS:
        runs = [run for run in found.runs if run.kill == kill]
        if runs:
            lines.append(f"| {kill} | {len(runs)} | {sum(run.is_equal for run in runs)} | {_redone(runs)} |")
    lines.append(f"| all | {len(found.runs)} | {found.num_equal} | {_redone(found.runs)} |")
    return "\n".join(lines)


def _redone(runs: Iterable[KilledRun]) -> str:
    counts = [run.num_redone for run in runs]
    return f"{sum(counts) / len(counts):.1f}, {max(counts)}"
