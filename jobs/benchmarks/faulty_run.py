"""One run of the corpus flow on two Ray nodes of this machine, in which something is killed at a random moment.

Started by `levo bench faults` as a program of its own: `faulty_run.py SETTINGS`, SETTINGS as JSON.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from annotation.tags.protocol import Tagger, Tags
from levo.codec.stems import Stems
from levo.song.digest import digest_arrays
from pipelines.corpus.embedded import embedded_models
from pipelines.corpus.flow import CorpusConfig, CorpusModels, prepare_corpus
from pipelines.corpus.roots.named import recordings_of
from pipelines.flow.executor import Executor
from pipelines.flow.model_source import ModelSource

WORKER, NODE, PROGRAM = "worker", "node", "program"
NUM_WORKERS = 2
_CPUS_A_NODE = 4
_WORKER_NAME = "MapWorker"


@dataclass(frozen=True, slots=True)
class FaultyRun:
    """What is prepared, where calls are counted, and what is killed how long after the first song was heard."""

    recordings: str
    corpus: str
    models: str
    calls: str
    kill: str | None
    after_s: float
    num_workers: int = NUM_WORKERS


class CountingTagger:
    """A tagger that notes every song it hears, which each song passes once."""

    def __init__(self, tagger: Tagger, calls: Path) -> None:
        self._tagger, self._calls = tagger, calls
        self.digest = tagger.digest

    def tag(self, stems: Stems) -> Tags:
        """The tags, after a line was added to the file of calls: the sound's digest, and when."""
        with self._calls.open("a") as file:
            file.write(f"{digest_arrays([stems.mixture.samples])} {time.time():.3f}\n")
        return self._tagger.tag(stems)


def counting_tagger(source: ModelSource[Tagger], calls: Path) -> CountingTagger:
    """Load a tagger that counts."""
    return CountingTagger(source.open(), calls)


def counted(models: CorpusModels, calls: Path) -> CorpusModels:
    """The models, with the tagger's calls counted; the digest, and so the corpus, stays."""
    tagger = models.tagger
    return replace(models, tagger=ModelSource(tagger.digest, partial(counting_tagger, tagger, calls)))


@contextmanager
def two_nodes(num_workers: int) -> Iterator[tuple[Executor, Any]]:
    """A Ray cluster of two nodes, the flow's executor on it, and the cluster."""
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.cluster_utils import Cluster

    from pipelines.flow.ray_executor import RayExecutor

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": _CPUS_A_NODE, "include_dashboard": False})
    cluster.add_node(num_cpus=_CPUS_A_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield RayExecutor(num_workers, batch_size=1), cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def main(arguments: list[str]) -> None:
    """Prepare the corpus while a thread kills; print the snapshot's id."""
    run = FaultyRun(**json.loads(arguments[0]))
    models = counted(embedded_models(Path(run.models)), Path(run.calls))
    with two_nodes(run.num_workers) as (executor, cluster):
        if run.kill is not None:
            threading.Thread(target=_kill, args=(run, cluster), daemon=True).start()
        recordings = recordings_of(run.recordings)
        prepared = prepare_corpus(recordings, Path(run.corpus), models, CorpusConfig(), executor)
    print(prepared.snapshot.manifest.snapshot_id)


def _kill(run: FaultyRun, cluster: Any) -> None:
    calls = Path(run.calls)
    while not calls.exists():
        time.sleep(0.01)
    time.sleep(run.after_s)
    if run.kill == PROGRAM:
        os.kill(os.getpid(), signal.SIGKILL)
    elif run.kill == NODE:
        node = cluster.worker_nodes.pop()
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        cluster.add_node(num_cpus=_CPUS_A_NODE)
    else:
        workers = [process for process in psutil.process_iter(["cmdline"]) if _is_worker(process)]
        if workers:
            random.choice(workers).kill()


def _is_worker(process: psutil.Process) -> bool:
    return _WORKER_NAME in " ".join(process.info["cmdline"] or ())


if __name__ == "__main__":
    main(sys.argv[1:])
