"""Training phases on Ray Train with DeepSpeed: one fit runs several phases in turn and goes on where it broke off."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from levo.alignment.stage_tasks import StageTasks
from levo.song.digest import digest_json
from levo.song.files import writing
from levo.training.checkpoints import load_checked, read_progress, write_progress
from levo.training.engine import Engine
from levo.training.loop import LoggedStep
from levo.training.phase_run import PhaseRunner, TaskSource, finished
from levo.training.phases import PhaseConfig
from levo.training.results import PhaseResult, read_result
from levo.training.seals import seal
from levo.training.workers import DistributedWorkers, Workers
from pipelines.loop.deepspeed_engine import ZERO_1, DeepSpeedEngine, ZeroOptions
from pipelines.loop.journal_tail import JournalTail

_RAY_FOLDER = "ray"


@dataclass(frozen=True, slots=True)
class TrainingScale:
    """Workers of a fit, and what each of them has; a crashed group is started again `max_failures` times."""

    num_workers: int = 1
    cpus_per_worker: int = 2
    use_gpu: bool = False
    zero: ZeroOptions = ZERO_1
    max_failures: int = 2
    peak_operations_per_s: float | None = None


def run_phases(
    phases: Sequence[PhaseConfig],
    storage: Path,
    on_log: Callable[[str, LoggedStep], None],
    scale: TrainingScale | None = None,
    *,
    tasks: TaskSource | None = None,
    cache: Path | None = None,
) -> list[PhaseResult]:
    """Train the phases in turn under `storage`, which all workers must reach, as one fit on the running Ray.

    `on_log` gets each phase's name and its logged intervals, in a thread of the driver. Where all phases are finished
    nothing is started; a phase that was broken off, by a crash of a worker or of the driver, goes on from its last
    checkpoint with the same learning curve. Checkpoints go once all phases are finished. `cache` keeps what several
    such calls share, the reference's log-probabilities among it; else it lies in `storage`.
    """
    scale, tasks = scale or TrainingScale(), tasks or StageTasks()
    storage = storage.resolve()
    ordered = [_absolute(phase) for phase in phases]
    if (done := finished(ordered, storage, tasks)) is not None:
        return done
    before = [read_result(storage / phase.name) for phase in ordered]
    name = run_name(ordered, tasks)
    trainer = TorchTrainer(
        _train_on_worker,
        train_loop_config={
            "phases": ordered,
            "storage": storage,
            "scale": scale,
            "tasks": tasks,
            "cache": cache and cache.resolve(),
        },
        torch_config=TorchConfig(backend="nccl" if scale.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=scale.num_workers,
            use_gpu=scale.use_gpu,
            resources_per_worker={"CPU": scale.cpus_per_worker} | ({"GPU": 1} if scale.use_gpu else {}),
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(storage / _RAY_FOLDER),
            failure_config=FailureConfig(max_failures=scale.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            worker_runtime_env={"env_vars": {} if scale.use_gpu else {"DS_ACCELERATOR": "cpu"}},
        ),
    )
    with writing(storage), JournalTail(storage, [phase.name for phase in ordered], on_log):
        trainer.fit()
    results = finished(ordered, storage, tasks)
    if results is None:
        raise FileNotFoundError(f"{storage} lacks results after the fit; expected storage that all workers share")
    shutil.rmtree(storage / _RAY_FOLDER / name, ignore_errors=True)
    known = {result.identity for result in before if result is not None}
    return [replace(result, skipped=result.identity in known) for result in results]


def run_name(phases: Sequence[PhaseConfig], tasks: TaskSource) -> str:
    """The fit's name, from what decides its outcome: the same call after a lost driver finds its own checkpoints."""
    parts = [[phase.name, phase.recipe_fields(), tasks.data_digest(phase)] for phase in phases]
    return f"phases-{digest_json(parts)[:16]}"


class RayCheckpoints:
    """Engine states through Ray Train: each worker reports its part, Ray keeps them together in the run's storage."""

    def __init__(self, workers: Workers) -> None:
        """Use the Ray Train session that this process runs in."""
        self._workers = workers

    def load_latest(self, engine: Engine, identity: str) -> int:
        """Bring the engine to the newest reported state if it is of this phase."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return 0
        with checkpoint.as_directory() as folder:
            saved = read_progress(Path(folder))
            if saved.identity != identity:
                return 0
            load_checked(engine, saved.folder)
            return saved.step

    def save(self, engine: Engine, identity: str, step: int) -> None:
        """Report this worker's part of the state; a barrier over all workers."""
        with tempfile.TemporaryDirectory() as folder:
            with writing(Path(folder)):
                engine.save(Path(folder))
                if self._workers.rank == 0:
                    write_progress(Path(folder), identity, step)
                seal(Path(folder), self._workers.rank, self._workers.world_size)
            ray.train.report({"step": step}, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _train_on_worker(loop_config: dict[str, Any]) -> None:
    scale: TrainingScale = loop_config["scale"]
    workers = DistributedWorkers()
    if not scale.use_gpu:
        torch.set_num_threads(scale.cpus_per_worker)
    runner = PhaseRunner(
        storage=loop_config["storage"],
        tasks=loop_config["tasks"],
        make_engine=lambda model, phase: DeepSpeedEngine(model, phase, scale.zero, workers),
        checkpoints=lambda _: RayCheckpoints(workers),
        on_log=lambda _, __: None,
        device=ray.train.torch.get_device() if scale.use_gpu else torch.device("cpu"),
        workers=workers,
        peak_operations_per_s=scale.peak_operations_per_s,
        cache=loop_config["cache"],
    )
    runner.run_all(loop_config["phases"])


def _absolute(phase: PhaseConfig) -> PhaseConfig:
    init = None if phase.init_model is None else phase.init_model.resolve()
    return replace(phase, data=phase.data.resolve(), init_model=init)
