"""A training phase as its own run shows it: what it was made with, the data it saw, its curve and its checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.lineage.datasets import RunDatasets
from jobs.lineage.parameters import flat_parameters
from jobs.tracking.protocol import DatasetReference, Parameter
from levo.song.scores import Axis
from levo.training.journal import JOURNAL_FILE, read_journal
from levo.training.loop import LoggedStep
from levo.training.phases import PhaseConfig
from levo.training.results import MODEL_FOLDER, RESULT_FILE
from pipelines.loop.context import LoopContext
from pipelines.loop.model_steps import base_phases
from pipelines.loop.preferences import MIXED

_STORAGE = {"train": "base", "align": "alignment", "rivals": "rivals"}
"""Where under a run's training folder the phases of a step lie."""


@dataclass(frozen=True, slots=True)
class TrainingPhase:
    """A phase of a step; all of it is told from the run's configuration and folder."""

    context: LoopContext
    step: str
    name: str

    @property
    def folder(self) -> Path:
        """Where the phase keeps its journal, its result and its model."""
        return self.context.places.training / _STORAGE.get(self.step, self.step) / self.name

    def parameters(self) -> dict[str, Parameter]:
        """What the phase was asked to do; empty for the phases of a step that is not known here."""
        config = self.context.config
        if self.step == "train":
            return flat_parameters({"seed": config.seed} | self._base_phase().recipe_fields())
        if self.step == "align":
            alignment = config.alignment
            is_mixed = self.name == MIXED
            rate = alignment.mixed_learning_rate if is_mixed else alignment.learning_rate[Axis(self.name)]
            epochs = alignment.mixed_epochs if is_mixed else alignment.epochs
            fields = {"beta": alignment.beta, "batch_size": alignment.batch_size, "epochs": epochs}
            return flat_parameters({"seed": config.seed, "learning_rate": rate} | fields)
        return {}

    def data(self) -> tuple[DatasetReference, ...]:
        """What it trained on."""
        datasets = RunDatasets(self.context.places)
        if self.step == "train":
            return (datasets.examples(self._base_phase().data.name),)
        return (datasets.training_pairs(self.name),) if self.step == "align" else ()

    def curve(self) -> list[LoggedStep]:
        """Every interval of its journal."""
        return read_journal(self.folder / JOURNAL_FILE)

    def result(self) -> "FinishedPhase | None":
        """What it left; None where it is not done."""
        file = self.folder / RESULT_FILE
        if not file.is_file():
            return None
        fields = json.loads(file.read_text())
        return FinishedPhase((self.folder / MODEL_FOLDER).resolve().as_uri(), fields)

    def _base_phase(self) -> PhaseConfig:
        return {phase.name: phase for phase in base_phases(self.context)}[self.name]


@dataclass(frozen=True, slots=True)
class FinishedPhase:
    """The record of a finished phase, and where its checkpoint lies."""

    checkpoint_uri: str
    fields: dict[str, Any]

    def tags(self) -> dict[str, str]:
        """The checkpoint, and whether extension left the mixed stream's logits as they were."""
        tags = {"checkpoint_uri": self.checkpoint_uri, "checkpoint_sha256": str(self.fields["model_digest"])}
        proof = self.fields["mixed_logits"]
        return tags if proof is None else tags | {"mixed_logits_identical": str(proof["before"] == proof["after"])}

    def parameters(self) -> dict[str, Parameter]:
        """The stage and its length, as it was done."""
        return {"stage": self.fields["stage"], "num_steps": self.fields["num_steps"]}

    @property
    def wall_s(self) -> float:
        """How long it took."""
        return float(self.fields["wall_s"])
