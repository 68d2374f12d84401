"""A stage: what turns one kind of record into another in a worker, and the refusal of an item that it cannot use."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, get_args, get_origin

from pipelines.observability.logs import log_context

Input = TypeVar("Input")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that cannot be used: which, where in the flow, a countable reason, and what exactly was found."""

    item_id: str
    stage: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker of a stage holds; neighbours that need the same share one worker."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0


Work: TypeAlias = Callable[[Sequence[Input]], Sequence[Output | Refusal]]


class Stage(ABC, Generic[Input, Output]):
    """One step of a flow; subclasses are frozen dataclasses whose fields are the step's parameters.

    A stage is small and picklable: it carries paths and digests of models, and `open` loads them in the worker.
    Fields that do not change the outcome (a path beside its digest) are marked `field(metadata=NOT_IDENTITY)`,
    here and in the records that fields hold.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    input_type: ClassVar[type]
    output_type: ClassVar[type]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Stage:
                cls.input_type, cls.output_type = get_args(base)

    @property
    def resources(self) -> Resources:
        """What a worker of this stage holds: the GPUs of all models that its fields bring."""
        brought = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return Resources(num_gpus=sum(getattr(value, "num_gpus", 0.0) for value in brought))

    @abstractmethod
    def open(self) -> Work[Input, Output]:
        """Load models and return what turns a batch into one outcome an item, in the same order."""

    def refuse(self, item_id: str, reason: str, detail: str) -> Refusal:
        """The outcome of an item that this stage cannot use."""
        return Refusal(item_id, self.name, reason, detail)


def item_id(item: Any) -> str:
    """What a refusal, or a line of a log, calls an item: its first field."""
    return str(getattr(item, fields(item)[0].name))


def one_by_one(act: Callable[[Input], Output | Refusal]) -> Work[Input, Output]:
    """The work that does one item after the other; what is logged meanwhile says which."""

    def outcome(item: Input) -> Output | Refusal:
        with log_context(song=item_id(item), songs=()):
            return act(item)

    return lambda batch: [outcome(item) for item in batch]


NOT_IDENTITY = {"identity": False}
