"""One arm of the corpus benchmark: the flow on Ray Data with a rerun, or the same stages in a process pool.

Started by `levo bench corpus` as a program of its own: `corpus_run.py ARM SETTINGS`, SETTINGS as JSON.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.corpus.embedded import embedded_models
from pipelines.corpus.flow import OBJECTS_FOLDER, CorpusConfig, corpus_pipeline, prepare_corpus
from pipelines.corpus.listing import list_songs
from pipelines.corpus.records import JudgedSong, PreparedSong, extended
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.tiers import musicality_tiers
from pipelines.flow.batch import Trace
from pipelines.flow.executor import OpenStages
from pipelines.flow.objects import ObjectStore
from pipelines.flow.outcomes import outcome_table
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.stage import Refusal

FLOW, POOL = "flow", "pool"
_SAMPLE_EVERY_S = 5.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class CorpusRun:
    """What is prepared, by how many workers, with how many songs a worker at once."""

    recordings: str
    corpus: str
    models: str
    num_workers: int
    batch_size: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Seconds of wall and processors, the peak of memory, and when the first song was done.

    `again_cpu_s` are the processors' seconds of the same run once more, where that was tried.
    """

    num_songs: int
    wall_s: float
    first_s: float
    cpu_s: float
    peak_bytes: int
    again_cpu_s: float = 0.0


def main(arguments: Sequence[str]) -> None:
    """Run the arm and print its figures."""
    arm, run = arguments[0], CorpusRun(**json.loads(arguments[1]))
    print(json.dumps(asdict(_flow(run) if arm == FLOW else _pool(run))))


def _flow(run: CorpusRun) -> RunFigures:
    from jobs.cluster import ray_cluster
    from pipelines.flow.ray_executor import RayExecutor

    executor = RayExecutor(run.num_workers, run.batch_size)
    recordings, models = recordings_of(run.recordings), embedded_models(Path(run.models))
    done_at: list[float] = []
    with ray_cluster(), ResourceMonitor(_SAMPLE_EVERY_S) as monitor:

        def prepare() -> int:
            prepared = prepare_corpus(
                recordings,
                Path(run.corpus),
                models,
                CorpusConfig(),
                executor,
                lambda state: done_at.append(time.perf_counter()) if state.num_done else None,
            )
            return prepared.tally.num_recordings

        began, cpu_s = time.perf_counter(), monitor.cpu_seconds()
        num_songs = prepare()
        wall_s, middle_s = time.perf_counter() - began, monitor.cpu_seconds()
        first_s, peak_bytes = done_at[0] - began, monitor.peak_memory_bytes
        prepare()
        again_s = monitor.cpu_seconds() - middle_s
    return RunFigures(num_songs, wall_s, first_s, middle_s - cpu_s, peak_bytes, again_s)


def _pool(run: CorpusRun) -> RunFigures:
    """What one would write by hand: list, map batches over processes, give tiers, write one table."""
    recordings, corpus = recordings_of(run.recordings), Path(run.corpus)
    models = embedded_models(Path(run.models))
    os.environ.update(_ONE_THREAD)
    with ResourceMonitor(_SAMPLE_EVERY_S) as monitor:
        began, cpu_s = time.perf_counter(), monitor.cpu_seconds()
        songs = list(list_songs(recordings, corpus, ObjectStore(corpus / OBJECTS_FOLDER)).songs)
        pipeline = corpus_pipeline(recordings, corpus, models, CorpusConfig())
        batches = [songs[start : start + run.batch_size] for start in range(0, len(songs), run.batch_size)]
        traces: list[Trace] = []
        first_s = 0.0
        with multiprocessing.get_context("spawn").Pool(run.num_workers, _open, (pipeline.stages,)) as pool:
            for done in pool.imap(_work, batches):
                first_s = first_s or time.perf_counter() - began
                traces += done
        outcomes: list[JudgedSong | Refusal] = [trace.refusal or trace.outputs[-1] for trace in traces]
        tiers = iter(musicality_tiers([song.musicality for song in outcomes if isinstance(song, JudgedSong)]))
        rows = [
            song if isinstance(song, Refusal) else extended(song, PreparedSong, tier=next(tiers)) for song in outcomes
        ]
        pq.write_table(outcome_table(rows, PreparedSong), corpus / "songs-by-hand.parquet")
        wall_s = time.perf_counter() - began
        return RunFigures(len(rows), wall_s, first_s, monitor.cpu_seconds() - cpu_s, monitor.peak_memory_bytes)


_open_stages: list[OpenStages] = []


def _open(stages: Sequence[Any]) -> None:
    _open_stages.append(OpenStages(stages))


def _work(batch: Sequence[Any]) -> list[Trace]:
    return _open_stages[0].run(batch)


if __name__ == "__main__":
    main(sys.argv[1:])
