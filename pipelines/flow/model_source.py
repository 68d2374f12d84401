"""A model as a stage carries it: the digest that its rows depend on, and how a worker loads it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pipelines.flow.stage import NOT_IDENTITY


class Digested(Protocol):
    """What every model has: a name of its weights and settings."""

    @property
    def digest(self) -> str:
        """Equal digests behave alike."""
        ...


Model = TypeVar("Model", bound=Digested)
Model_co = TypeVar("Model_co", bound=Digested, covariant=True)


class ChangedModelError(ValueError):
    """A model folder whose content changed between planning and loading."""


@dataclass(frozen=True)
class ModelSource(Generic[Model_co]):
    """A model that is loaded in the worker; `load` is small and picklable, such as `partial(Codec.load, folder)`."""

    digest: str
    load: Callable[[], Model_co] = field(metadata=NOT_IDENTITY)
    num_gpus: float = field(default=0.0, metadata=NOT_IDENTITY)
    """What a worker that holds the model reserves."""

    def open(self) -> Model_co:
        """Load the model; raises ChangedModelError where it is not the one that was meant."""
        model = self.load()
        if model.digest != self.digest:
            raise ChangedModelError(f"loaded a model of digest {model.digest[:12]}; expected {self.digest[:12]}")
        return model


def model_source(load: Callable[[], Model], num_gpus: float = 0.0) -> ModelSource[Model]:
    """Load a model once here to learn its digest; its workers hold `num_gpus`."""
    return ModelSource(load().digest, load, num_gpus)
