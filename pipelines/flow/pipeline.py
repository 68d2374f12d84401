"""A pipeline: a list of stages, refused before a worker starts where one does not fit the next."""

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Generic, TypeVar

from levo.song.schema import schema_of
from pipelines.flow.identity import chain_identities
from pipelines.flow.stage import Resources, Stage

First = TypeVar("First")
Last = TypeVar("Last")


class PipelineError(ValueError):
    """Stages that do not fit each other."""


@dataclass(frozen=True, slots=True)
class StageGroup:
    """Neighbouring stages that run in one worker, and the first one's place in the pipeline."""

    start: int
    stages: tuple[Stage[Any, Any], ...]
    resources: Resources


@dataclass(frozen=True)
class Pipeline(Generic[First, Last]):
    """Stages in order; what each gives is what the next one takes, and every record has an Arrow schema."""

    stages: tuple[Stage[Any, Any], ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise PipelineError("a pipeline of no stages; expected at least one")
        names = [stage.name for stage in self.stages]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise PipelineError(f"stages {repeated} occur twice in {names}; each needs a name of its own")
        for before, after in pairwise(self.stages):
            if not issubclass(before.output_type, after.input_type):
                raise PipelineError(
                    f"stage {before.name!r} gives {before.output_type.__name__}, "
                    f"but the next stage {after.name!r} takes {after.input_type.__name__}"
                )
        for record_type in (self.input_type, *(stage.output_type for stage in self.stages)):
            schema_of(record_type)

    @property
    def input_type(self) -> type[First]:
        """The record that the first stage takes."""
        return self.stages[0].input_type

    @property
    def output_type(self) -> type[Last]:
        """The record that the last stage gives."""
        return self.stages[-1].output_type

    @property
    def groups(self) -> tuple[StageGroup, ...]:
        """Neighbours that need the same resources, which one worker runs in turn."""
        places = enumerate(self.stages)
        runs = [(need, list(run)) for need, run in groupby(places, key=lambda place: place[1].resources)]
        return tuple(StageGroup(run[0][0], tuple(stage for _, stage in run), need) for need, run in runs)

    @property
    def chain(self) -> tuple[str, ...]:
        """For each stage, the digest of itself and all stages before it."""
        return chain_identities(self.stages)

    def until(self, num_stages: int) -> "Pipeline[First, Any]":
        """The pipeline's first stages alone."""
        return Pipeline(self.stages[:num_stages])

    def after(self, num_stages: int) -> "Pipeline[Any, Last]":
        """The pipeline without its first stages."""
        return Pipeline(self.stages[num_stages:])
