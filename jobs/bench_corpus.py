"""The corpus benchmark's songs and its table."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from jobs.benchmarks.arms import machine
from jobs.benchmarks.corpus import NUM_WORKERS, CorpusFigures, compare_corpus
from jobs.benchmarks.corpus_run import FLOW, POOL, RunFigures
from pipelines.rendered.catalogue import RenderedCorpusConfig
from pipelines.rendered.corpus import write_corpus
from pipelines.rendered.world import WorldConfig

_SEED = 21
_FEW = 10


def bench_corpus(models: Path, num_songs: int, num_rounds: int, *, as_json: bool) -> str:
    """Render a tenth of the songs and all, prepare both; a line for each run goes to standard error as it ends."""
    if num_songs < _FEW or num_rounds < 1:
        raise ValueError(f"--songs is {num_songs}, --runs {num_rounds}; expected {_FEW} or more, and 1 or more")
    with tempfile.TemporaryDirectory() as folder:
        few = _rendered(num_songs // _FEW, Path(folder) / "few")
        many = _rendered(num_songs, Path(folder) / "many")
        found = compare_corpus(few, many, models, num_rounds, _tell)
    return json.dumps(asdict(found)) if as_json else _table(found)


def _rendered(num_songs: int, folder: Path) -> Path:
    config = RenderedCorpusConfig(num_songs, 0, 0, _SEED, world=WorldConfig())
    return write_corpus(config, folder, lambda _done, _all: None, num_workers=NUM_WORKERS).folder


def _tell(arm: str, run: RunFigures) -> None:
    print(f"{arm}: {run.num_songs} songs in {run.wall_s:.1f} s, the first after {run.first_s:.1f} s", file=sys.stderr)


def _table(found: CorpusFigures) -> str:
    num_rounds = len(found.rounds[FLOW])
    lines = [
        f"corpus flow, {machine()}, {found.rounds[FLOW][0].num_songs} songs of 6 s with their stems, "
        f"{NUM_WORKERS} workers, medians of {num_rounds}",
        "",
        "| | Ray Data | process pool |",
        "|---|---|---|",
    ]
    for title, figure in (
        ("songs a second", lambda run: run.num_songs / run.wall_s),
        ("songs a second after the first", lambda run: run.num_songs / (run.wall_s - run.first_s)),
        ("processor seconds", lambda run: run.cpu_s),
        ("peak memory, GB", lambda run: run.peak_bytes / 1e9),
    ):
        lines.append(f"| {title} | {found.median_of(FLOW, figure):.2f} | {found.median_of(POOL, figure):.2f} |")
    return "\n".join(
        [
            *lines,
            "",
            f"songs a second, flow over pool: {found.speed_ratio:.2f}; after the first song {found.steady_ratio:.2f}",
            f"processor time of a rerun over the first run's, a further song: {found.rerun_share:.4f}",
            f"peak memory over that of {found.num_few} songs ({found.few.peak_bytes / 1e9:.2f} GB): "
            f"{found.memory_growth:.3f}",
        ]
    )
