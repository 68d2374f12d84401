"""The corpus flow held to a process pool over the same stages, to its own rerun, and to a tenth of the corpus."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from jobs.benchmarks.corpus_run import FLOW, POOL, CorpusRun, RunFigures

NUM_WORKERS = 2
_BATCH_SIZE = 16
_ARMS = (FLOW, POOL)


@dataclass(frozen=True, slots=True)
class ArmRounds:
    """Rounds of both arms over the same songs."""

    flow: tuple[RunFigures, ...]
    pool: tuple[RunFigures, ...]

    @property
    def speed_ratio(self) -> float:
        """Songs a second of the flow over the pool's, the start of the workers included."""
        return self._ratio(lambda run: run.wall_s)

    @property
    def steady_ratio(self) -> float:
        """The same from each arm's first finished songs on."""
        return self._ratio(lambda run: run.wall_s - run.first_s)

    def _ratio(self, seconds: Callable[[RunFigures], float]) -> float:
        return median(map(seconds, self.pool)) / median(map(seconds, self.flow))


@dataclass(frozen=True, slots=True)
class CorpusFigures:
    """Both arms over short and over long songs, and one run of the flow over a tenth of the short ones."""

    few: RunFigures
    short: ArmRounds
    long: ArmRounds

    @property
    def rerun_share(self) -> float:
        """Processor time that each further song adds to a rerun, over what it adds to the first run.

        The start of programs and workers, which both sizes share, is in neither.
        """
        again_s = median(run.again_cpu_s for run in self.short.flow) - self.few.again_cpu_s
        return again_s / (median(run.cpu_s for run in self.short.flow) - self.few.cpu_s)

    @property
    def memory_growth(self) -> float:
        """Peak memory of all short songs over that of a tenth of them."""
        return median(run.peak_bytes for run in self.short.flow) / self.few.peak_bytes


def compare_corpus(
    few: Path,
    short: Path,
    long: Path,
    models: Path,
    num_rounds: int,
    progress: Callable[[str, RunFigures], None] | None = None,
) -> CorpusFigures:
    """Prepare few songs once, and short and long ones in turns of both arms, each from nothing in its own process.

    Raises `RuntimeError` where an arm fails.
    """
    few_run = _run(FLOW, few, models, progress)
    rounds = []
    for songs in (short, long):
        runs: dict[str, list[RunFigures]] = {arm: [] for arm in _ARMS}
        for _ in range(num_rounds):
            for arm in _ARMS:
                runs[arm].append(_run(arm, songs, models, progress))
        rounds.append(ArmRounds(tuple(runs[FLOW]), tuple(runs[POOL])))
    return CorpusFigures(few_run, *rounds)


def _run(arm: str, recordings: Path, models: Path, progress: Callable[[str, RunFigures], None] | None) -> RunFigures:
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        run = CorpusRun(str(recordings.resolve()), str(corpus), str(models.resolve()), NUM_WORKERS, _BATCH_SIZE)
        command = [sys.executable, "-m", "jobs.benchmarks.corpus_run", arm, json.dumps(asdict(run))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        shutil.rmtree(corpus, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(f"the arm {arm} failed: {done.stderr.strip()[-500:]}")
    found = RunFigures(**json.loads(done.stdout.splitlines()[-1]))
    if progress:
        progress(arm, found)
    return found
