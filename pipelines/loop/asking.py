"""Questions to a service on Ray Serve: a few under way at a time, answered in order, asked again if a replica dies.

What is asked is a pure function of the question, so an answer that was lost with its replica is the same when another
replica gives it, and asking twice answers once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentResponse

from levo.model.sampling.loop import EngineStoppedError

Question = TypeVar("Question")
Answer: TypeAlias = "DeploymentResponse[Any]"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a lost question is asked again, and the pauses before that: each twice the last, up to the longest.

    Together they should outlast what Serve takes to notice a dead replica and to start another.
    """

    num_retries: int = 10
    first_pause_s: float = 0.25
    longest_pause_s: float = 5.0

    def __post_init__(self) -> None:
        if self.num_retries < 0 or self.first_pause_s < 0:
            raise ValueError(f"{self}; expected no negative numbers")

    def pause_s(self, attempt: int) -> float:
        """What is waited for after so many lost attempts, from 1."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** (attempt - 1))


PATIENCE = Patience()


@dataclass(slots=True)
class _Asked(Generic[Question]):
    """A question on its way, and how often its answer was lost; `answers` holds the answer once it came."""

    question: Question
    response: Answer
    num_lost: int = 0
    answers: list[Any] = field(default_factory=list)

    def death(self, timeout_s: float | None) -> Exception | None:
        """Wait so long for the answer, or until it comes; returns what its replica died of, where it did.

        What else the answer raises is raised where it is waited for.
        """
        try:
            if not self.answers:
                self.answers.append(self.response.result(timeout_s=timeout_s))
        except Exception as error:
            if is_lost(error):
                return error
            if timeout_s is None:
                raise
        return None


def is_lost(error: BaseException) -> bool:
    """Whether an answer failed with its replica (which died, or whose engine did), and not on the question."""
    return isinstance(error, RayActorError) or isinstance(getattr(error, "cause", error), EngineStoppedError)


def answers_in_order(
    questions: Iterable[Question],
    ask: Callable[[Question, int], Answer],
    num_under_way: int,
    patience: Patience = PATIENCE,
) -> Iterator[Any]:
    """Ask every question and yield the answers in the questions' order.

    `ask` gets a question and how often its answer was lost before. Questions are taken as there is room for them, so
    they may still be in the making. When an answer is lost, all that were lost with it are asked again together.
    Raises what a question's answer raised, or the death of the last replica where patience ends.
    """
    under_way: deque[_Asked[Question]] = deque()
    for question in questions:
        if len(under_way) >= num_under_way:
            yield _first(under_way, ask, patience)
        under_way.append(_Asked(question, ask(question, 0)))
    while under_way:
        yield _first(under_way, ask, patience)


async def answer(question: Question, ask: Callable[[Question, int], Answer], patience: Patience = PATIENCE) -> Any:
    """One answer, for callers in an event loop; see `answers_in_order`."""
    num_lost = 0
    while True:
        try:
            return await ask(question, num_lost)
        except Exception as error:
            num_lost += 1
            if not is_lost(error) or num_lost > patience.num_retries:
                raise
        await asyncio.sleep(patience.pause_s(num_lost))


def _first(under_way: deque[_Asked[Question]], ask: Callable[[Question, int], Answer], patience: Patience) -> Any:
    """Wait for the oldest answer, and take it out."""
    first = under_way[0]
    while (death := first.death(None)) is not None:
        if first.num_lost >= patience.num_retries:
            raise death
        time.sleep(patience.pause_s(first.num_lost + 1))
        for one in under_way:
            if one is first or one.death(0.0) is not None:
                one.num_lost += 1
                one.response = ask(one.question, one.num_lost)
    return under_way.popleft().answers[0]
