"""The corpus benchmark's songs and its table."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

from jobs.benchmarks.arms import machine
from jobs.benchmarks.corpus import NUM_WORKERS, CorpusFigures, compare_corpus
from jobs.benchmarks.corpus_run import RunFigures
from pipelines.rendered.catalogue import RenderedCorpusConfig
from pipelines.rendered.corpus import write_corpus

_SEED = 21
_FEW = 10
_SHORT_IN_LONG = 5


def bench_corpus(models: Path, num_songs: int, num_rounds: int, *, as_json: bool) -> str:
    """Render songs of 6 s, a tenth of them, and as much sound in songs of 30 s; prepare all of them.

    A line for each run goes to standard error as it ends.
    """
    if num_songs < _FEW or num_rounds < 1:
        raise ValueError(f"--songs is {num_songs}, --runs {num_rounds}; expected {_FEW} or more, and 1 or more")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = _rendered(RenderedCorpusConfig(num_songs // _FEW, 0, 0, _SEED), folder / "few")
        short = _rendered(RenderedCorpusConfig(num_songs, 0, 0, _SEED), folder / "short")
        long = _rendered(RenderedCorpusConfig(0, 0, num_songs // _SHORT_IN_LONG, _SEED), folder / "long")
        found = compare_corpus(few, short, long, models, num_rounds, _tell)
    return json.dumps(asdict(found)) if as_json else _table(found)


def _rendered(config: RenderedCorpusConfig, folder: Path) -> Path:
    return write_corpus(config, folder, lambda _done, _all: None, num_workers=NUM_WORKERS).folder


def _tell(arm: str, run: RunFigures) -> None:
    print(f"{arm}: {run.num_songs} songs in {run.wall_s:.1f} s, the first after {run.first_s:.1f} s", file=sys.stderr)


def _table(found: CorpusFigures) -> str:
    short, long = found.short, found.long
    arms = (short.flow, short.pool, long.flow, long.pool)
    rows = {
        "songs a second": lambda run: run.num_songs / run.wall_s,
        "songs a second after the first": lambda run: run.num_songs / (run.wall_s - run.first_s),
        "processor seconds": lambda run: run.cpu_s,
        "peak memory, GB": lambda run: run.peak_bytes / 1e9,
    }
    lines = [
        f"corpus flow, {machine()}, {NUM_WORKERS} workers, songs with their stems, medians of {len(short.flow)}",
        "",
        f"| | Ray Data, {short.flow[0].num_songs} songs of 6 s | process pool "
        f"| Ray Data, {long.flow[0].num_songs} songs of 30 s | process pool |",
        "|---|---|---|---|---|",
        *(
            f"| {title} | {' | '.join(f'{median(map(figure, runs)):.2f}' for runs in arms)} |"
            for title, figure in rows.items()
        ),
        f"| flow over pool | {short.speed_ratio:.2f} | | {long.speed_ratio:.2f} | |",
        f"| flow over pool after the first song | {short.steady_ratio:.2f} | | {long.steady_ratio:.2f} | |",
        "",
        f"processor time of a rerun over the first run's, a further song: {found.rerun_share:.4f}",
        f"peak memory over that of {found.few.num_songs} songs ({found.few.peak_bytes / 1e9:.2f} GB): "
        f"{found.memory_growth:.3f}",
    ]
    return "\n".join(lines)
