"""Any stages in one process with plain PyTorch: the same phases, results and files as on a cluster."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from levo.alignment.stage_tasks import StageTasks
from levo.training.checkpoints import FolderCheckpoints
from levo.training.engine import PlainEngine
from levo.training.loop import LoggedStep
from levo.training.phase_run import PhaseRunner
from levo.training.phases import PhaseConfig
from levo.training.results import PhaseResult
from levo.training.workers import SingleWorker


def run_phases_in_process(
    phases: Sequence[PhaseConfig],
    storage: Path,
    on_log: Callable[[str, LoggedStep], None],
    *,
    device: torch.device | str = "cpu",
    peak_operations_per_s: float | None = None,
    cache: Path | None = None,
) -> list[PhaseResult]:
    """Train the phases in turn under `storage`; `on_log` gets each phase's name and its logged intervals.

    A broken-off run goes on from its last checkpoint when called again, and what is finished is skipped. Checkpoints go
    once all phases are finished. `cache` keeps what several such calls share; else it lies in `storage`.
    """

    def checkpoints(phase: PhaseConfig) -> Path:
        return storage / phase.name / "checkpoints"

    runner = PhaseRunner(
        storage=storage,
        tasks=StageTasks(),
        make_engine=PlainEngine,
        checkpoints=lambda phase: FolderCheckpoints(checkpoints(phase)),
        on_log=on_log,
        device=torch.device(device),
        workers=SingleWorker(),
        peak_operations_per_s=peak_operations_per_s,
        cache=cache,
    )
    results = runner.run_all(list(phases))
    for phase in phases:
        shutil.rmtree(checkpoints(phase), ignore_errors=True)
    return results
