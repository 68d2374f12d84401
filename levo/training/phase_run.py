"""Phases from a model folder to a model folder: resumed where one was broken off, skipped where one is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from levo.model.lelm import LeLM
from levo.model.store import TOKENIZER_FOLDER, LoadedModel, load_model, model_digest, save_weights
from levo.training.checkpoints import Checkpoints
from levo.training.engine import Engine
from levo.training.freezing import assert_moved, assert_unmoved, freeze_all_but, tensor_digests
from levo.training.journal import JOURNAL_FILE, append_journal, cut_journal
from levo.training.loop import LoggedStep, LoopCallbacks, Task, train
from levo.training.lora import add_adapters, merged
from levo.training.metrics import measured_peak_operations_per_s
from levo.training.phases import PhaseConfig, Stage
from levo.training.probe import mixed_logits_digest
from levo.training.results import (
    MODEL_FOLDER,
    MixedLogitsProof,
    PhaseResult,
    phase_identity,
    read_result,
    write_result,
)
from levo.training.workers import Workers


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSetting:
    """What a phase's task is built from; `cache` is a folder that phases share."""

    phase: PhaseConfig
    initial: LoadedModel
    init_folder: Path
    cache: Path
    workers: Workers


class TaskSource(Protocol):
    """Knows the data of each stage."""

    def data_digest(self, phase: PhaseConfig) -> str:
        """The digest of the phase's data."""

    def task(self, setting: PhaseSetting) -> Task[Any]:
        """The phase's task; every worker calls it, before an engine takes the model over."""


@dataclass(frozen=True, slots=True)
class PhaseRunner:
    """Runs phases in `storage`, one folder a phase; with several workers that folder is shared by all of them.

    `peak_operations_per_s` is what MFU is held against; None measures it on the worker's device. `cache` keeps what
    phases of several runners share, in `storage` unless it is given.
    """

    storage: Path
    tasks: TaskSource
    make_engine: Callable[[nn.Module, PhaseConfig], Engine]
    checkpoints: Callable[[PhaseConfig], Checkpoints]
    on_log: Callable[[str, LoggedStep], None]
    device: torch.device
    workers: Workers
    peak_operations_per_s: float | None = None
    cache: Path | None = None

    def run_all(self, phases: list[PhaseConfig]) -> list[PhaseResult]:
        """Run the phases in turn; one without an initial model goes on from the one before it."""
        results: list[PhaseResult] = []
        for phase in phases:
            init = phase.init_model or (results[-1].model_folder if results else None)
            if init is None:
                raise ValueError(f"phase {phase.name} comes first and has no initial model; expected init_model")
            results.append(self.run(phase, init))
        return results

    def run(self, phase: PhaseConfig, init: Path) -> PhaseResult:
        """Train one phase from the model in `init`, or return its result where it is there already."""
        folder = self.storage / phase.name
        identity = phase_identity(phase, self.tasks.data_digest(phase), model_digest(init))
        done = read_result(folder)
        if done is not None and done.identity == identity:
            return done
        begun = time.perf_counter()
        initial = load_model(init, device=self.device)
        trained = set(_prepare(initial.model, phase))
        state = _InitialState(tensor_digests(initial.model.state_dict()), mixed_logits_digest(initial.model), trained)
        task = self.tasks.task(PhaseSetting(phase, initial, init, self.cache or self.storage / "cache", self.workers))
        engine = self.make_engine(initial.model, phase)
        last = self._train(phase, identity, engine, task)
        weights = engine.weights()
        engine.close()
        if self.workers.rank == 0:
            state.prove(tensor_digests(weights))
            plain = weights if phase.lora is None else merged(weights, phase.lora)
            digest = save_weights(plain, initial.model.config, init / TOKENIZER_FOLDER, folder / MODEL_FOLDER)
            result = PhaseResult(
                name=phase.name,
                stage=phase.stage,
                identity=identity,
                model_folder=folder / MODEL_FOLDER,
                model_digest=digest,
                num_steps=phase.num_steps,
                wall_s=time.perf_counter() - begun,
                metrics=last.metrics | last.speed,
                num_frozen_tensors=len(state.digests) - len(trained),
                mixed_logits=self._mixed_proof(phase, state.mixed_logits),
            )
            write_result(folder, result)
        return self._published(folder)

    def _published(self, folder: Path) -> PhaseResult:
        self.workers.wait()
        written = read_result(folder)
        if written is None:
            raise FileNotFoundError(f"{folder} holds no result on worker {self.workers.rank}; expected shared storage")
        return replace(written, skipped=False)

    def _train(self, phase: PhaseConfig, identity: str, engine: Engine, task: Task[Any]) -> LoggedStep:
        journal = self.storage / phase.name / JOURNAL_FILE
        checkpoints = self.checkpoints(phase)
        start_step = checkpoints.load_latest(engine, identity)
        logged: list[LoggedStep] = []

        def on_log(step: LoggedStep) -> None:
            logged.append(step)
            if self.workers.rank == 0:
                append_journal(journal, step)
                self.on_log(phase.name, step)

        if self.workers.rank == 0:
            cut_journal(journal, start_step)
        train(
            engine,
            self.workers,
            task,
            phase,
            LoopCallbacks(on_log, lambda step: checkpoints.save(engine, identity, step)),
            start_step=start_step,
            peak_operations_per_s=self.peak_operations_per_s or measured_peak_operations_per_s(self.device),
        )
        return logged[-1]

    def _mixed_proof(self, phase: PhaseConfig, before: str) -> MixedLogitsProof | None:
        if phase.stage is not Stage.EXTEND:
            return None
        published = load_model(self.storage / phase.name / MODEL_FOLDER, device=self.device).model
        proof = MixedLogitsProof(before, mixed_logits_digest(published))
        if not proof.identical:
            raise RuntimeError(f"phase {phase.name} changed the mixed stream's logits, which extension must not")
        return proof


def _prepare(model: LeLM, phase: PhaseConfig) -> tuple[str, ...]:
    """Make a model ready for a phase; the names of what trains."""
    model.recompute_activations(phase.recompute_activations)
    if phase.lora is None:
        trained = freeze_all_but(model, phase.stage.trained_part)
    else:
        trained = add_adapters(model, phase.lora, phase.seed)
    if phase.compile_layers:
        model.compile_layers()
    return trained


def finished(phases: list[PhaseConfig], storage: Path, tasks: TaskSource) -> list[PhaseResult] | None:
    """The results of all phases where every one is done, so that no worker need start; else None."""
    results: list[PhaseResult] = []
    for phase in phases:
        init = phase.init_model or (results[-1].model_folder if results else None)
        result = read_result(storage / phase.name)
        if init is None or result is None:
            return None
        if result.identity != phase_identity(phase, tasks.data_digest(phase), model_digest(init)):
            return None
        results.append(result)
    return results


@dataclass(frozen=True, slots=True)
class _InitialState:
    """What the model was before training, to hold what it became against."""

    digests: dict[str, str]
    mixed_logits: str
    trained: set[str]

    def prove(self, after: dict[str, str]) -> None:
        """Raise unless the trained tensors moved and no other did."""
        assert_unmoved({name: digest for name, digest in self.digests.items() if name not in self.trained}, after)
        assert_moved({name: digest for name, digest in self.digests.items() if name in self.trained}, after)
