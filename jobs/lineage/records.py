"""The lineage of a step as records: datasets with the part they played, models used, and models made."""

from dataclasses import dataclass

from jobs.tracking.protocol import DatasetReference, ModelReference

INPUT, TRAINING, EVALUATION, OUTPUT = "input", "training", "evaluation", "output"


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """A dataset, and the part that it played in a step."""

    dataset: DatasetReference
    part: str


@dataclass(frozen=True, slots=True)
class MadeModel:
    """A model, the training phase that made it (empty for the step itself), and the alias that it takes over."""

    model: ModelReference
    phase: str = ""
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class StepLineage:
    """What went into a step and what came out of it."""

    datasets: tuple[DatasetUse, ...] = ()
    used: tuple[ModelReference, ...] = ()
    made: tuple[MadeModel, ...] = ()
