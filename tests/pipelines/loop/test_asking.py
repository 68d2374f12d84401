"""Questions asked again: by fakes that lose answers as replicas that die do."""

import asyncio
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from levo.model.sampling.loop import EngineStoppedError
from pipelines.loop.asking import Patience, answer, answers_in_order, is_lost

QUICK = Patience(num_retries=3, first_pause_s=0.0)


class FakeResponse:
    """Comes to a value, or raises."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def result(self, timeout_s: float | None = None) -> Any:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self.result()


@dataclass
class FakeService:
    """Squares numbers; loses the answers to each as often as it is told."""

    losses: dict[int, int] = field(default_factory=dict)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, number: int, num_lost: int) -> Any:
        self.asked.append((number, num_lost))
        return FakeResponse(ActorDiedError() if num_lost < self.losses.get(number, 0) else number**2)


@given(st.lists(st.integers(0, QUICK.num_retries), max_size=12), st.integers(1, 5))
def test_every_question_is_answered_once_and_in_order_however_many_answers_are_lost(
    losses: list[int], num_under_way: int
) -> None:
    service = FakeService(dict(enumerate(losses)))
    found = list(answers_in_order(range(len(losses)), service.ask, num_under_way, QUICK))
    assert found == [number**2 for number in range(len(losses))]
    assert sorted(service.asked) == [(number, lost) for number, most in enumerate(losses) for lost in range(most + 1)]


def test_what_was_lost_together_is_asked_again_together() -> None:
    service = FakeService({0: 1, 1: 1, 3: 1})
    list(answers_in_order(range(4), service.ask, 4, QUICK))
    assert service.asked[4:] == [(0, 1), (1, 1), (3, 1)]


def test_patience_ends_with_the_death_itself() -> None:
    service = FakeService({0: QUICK.num_retries + 1})
    with pytest.raises(ActorDiedError):
        list(answers_in_order([0], service.ask, 1, QUICK))
    with pytest.raises(ActorDiedError):
        asyncio.run(answer(0, service.ask, QUICK))
    assert len(service.asked) == 2 * (QUICK.num_retries + 1)


def test_a_question_that_is_refused_is_not_asked_again() -> None:
    asked: list[int] = []

    def ask(number: int, _num_lost: int) -> Any:
        asked.append(number)
        return FakeResponse(ValueError("too long") if number == 1 else number)

    answers = answers_in_order(range(3), ask, 3, QUICK)
    assert next(answers) == 0
    with pytest.raises(ValueError, match="too long"):
        next(answers)
    assert asked == [0, 1, 2]


def test_questions_are_taken_as_there_is_room_for_them() -> None:
    service, taken = FakeService(), []

    def questions() -> Iterator[int]:
        for number in range(5):
            taken.append(number)
            yield number

    answers = answers_in_order(questions(), service.ask, 2, QUICK)
    assert (next(answers), taken) == (0, [0, 1, 2])


def test_one_answer_is_awaited_through_losses() -> None:
    service = FakeService({7: 2})
    assert asyncio.run(answer(7, service.ask, QUICK)) == 49
    assert service.asked == [(7, 0), (7, 1), (7, 2)]


def test_what_died_with_its_replica_is_told_from_what_failed_on_the_question() -> None:
    stopped = RayTaskError("sample", "", EngineStoppedError("died"))
    for error in (ActorDiedError(), ActorUnavailableError("away", None), stopped, stopped.as_instanceof_cause()):
        assert is_lost(error)
    for other in (ValueError(), TimeoutError(), RayTaskError("sample", "", ValueError("long"))):
        assert not is_lost(other)


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(num_retries=5, first_pause_s=1.0, longest_pause_s=5.0)
    assert [patience.pause_s(attempt) for attempt in range(1, 6)] == [1, 2, 4, 5, 5]
    with pytest.raises(ValueError, match="num_retries=-1"):
        Patience(num_retries=-1)
