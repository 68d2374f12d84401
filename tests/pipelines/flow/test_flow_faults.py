"""Kills and poison: nothing that was done is lost or done again, and one bad item does not stop the others."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from pipelines.flow.attempts import Attempts
from pipelines.flow.batch import FAILED, Trace, batch_of
from pipelines.flow.executor import KILLED, Executor, InProcessExecutor, StageError
from pipelines.flow.memory import Memory
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.run import run_flow
from pipelines.flow.stage import NOT_IDENTITY, Refusal, Stage, Work


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Squared:
    name: str
    square: int


@dataclass(frozen=True, slots=True)
class Doubled:
    name: str
    double: int


@dataclass(frozen=True, slots=True)
class Square(Stage[Item, Squared]):
    name: ClassVar[str] = "square"
    version: ClassVar[str] = "1"
    calls: Path = field(metadata=NOT_IDENTITY)

    def open(self) -> Work[Item, Squared]:
        def square(batch: Sequence[Item]) -> list[Squared]:
            with self.calls.open("a") as file:
                file.writelines(f"{item.name}\n" for item in batch)
            return [Squared(item.name, item.value**2) for item in batch]

        return square


@dataclass(frozen=True, slots=True)
class Double(Stage[Squared, Doubled]):
    """Raises for, or is killed by, the items it is told."""

    name: ClassVar[str] = "double"
    version: ClassVar[str] = "1"
    raises: tuple[str, ...] = ()
    kills: tuple[str, ...] = field(default=(), metadata=NOT_IDENTITY)
    kills_once: Path | None = field(default=None, metadata=NOT_IDENTITY)

    def open(self) -> Work[Squared, Doubled]:
        return lambda batch: [self._one(item) for item in batch]

    def _one(self, item: Squared) -> Doubled:
        if item.name in self.raises:
            raise RuntimeError(f"odd song {item.name}")
        if item.name in self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kills_once and item.name == "item-7" and not self.kills_once.exists():
            self.kills_once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Doubled(item.name, 2 * item.square)


ITEMS = [Item(f"item-{number}", number) for number in range(16)]


@pytest.fixture(params=["in_process", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "in_process":
        yield InProcessExecutor(batch_size=4)
        return
    yield request.getfixturevalue("ray_executor")


@pytest.fixture
def ray_executor(local_ray: None) -> Iterator[Executor]:
    from ray import cloudpickle

    from pipelines.flow.ray_executor import RayExecutor

    # Workers cannot import a test module by its name.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield RayExecutor(num_workers=2, batch_size=4)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def counts(calls: Path) -> dict[str, int]:
    names = calls.read_text().splitlines()
    return {name: names.count(name) for name in names}


def test_an_item_on_which_a_stage_raises_is_refused_alone(executor: Executor, tmp_path: Path) -> None:
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double(raises=("item-5",))))
    memory, attempts = Memory(tmp_path / "memory"), Attempts(tmp_path / "attempts")
    for num_reused in (0, 16):
        result = run_flow(pipeline, ITEMS, executor, memory, attempts=attempts)
        expected = [Doubled(item.name, 2 * item.value**2) for item in ITEMS]
        assert [*result.outcomes[:5], *result.outcomes[6:]] == [*expected[:5], *expected[6:]]
        assert result.outcomes[5] == Refusal("item-5", "double", FAILED, "RuntimeError: odd song item-5")
        assert result.num_reused == num_reused
    mended = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double()))
    before = counts(tmp_path / "calls")
    assert run_flow(mended, ITEMS, executor, memory, attempts=attempts).outcomes == tuple(expected)
    assert counts(tmp_path / "calls") == before, "the stage before the failure is not done again"


def test_a_flow_that_fails_for_many_items_ends_and_remembers_no_failure(executor: Executor, tmp_path: Path) -> None:
    odd = tuple(item.name for item in ITEMS[:12])
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double(raises=odd)))
    memory, attempts = Memory(tmp_path / "memory"), Attempts(tmp_path / "attempts")
    with pytest.raises(StageError, match=r"11 of 16 items failed; the last, item-\d+, in stage 'double': Runtime"):
        run_flow(pipeline, ITEMS, executor, memory, attempts=attempts)
    digests = memory.recall(pipeline, [])
    assert digests == {}
    # The same stages, whose failure had another cause than their parameters: all are tried again.
    object.__setattr__(pipeline.stages[1], "raises", odd[:1])
    mended = run_flow(pipeline, ITEMS, executor, memory, attempts=attempts)
    assert [refusal.item_id for refusal in mended.refusals] == ["item-0"]


@pytest.mark.ray
def test_a_poison_item_is_given_up_after_its_budget_and_the_rest_goes_on(
    ray_executor: Executor, tmp_path: Path
) -> None:
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double(kills=("item-5",))))
    memory, attempts = Memory(tmp_path / "memory"), Attempts(tmp_path / "attempts", budget=2)
    result = run_flow(pipeline, ITEMS, ray_executor, memory, attempts=attempts)
    expected = [Doubled(item.name, 2 * item.value**2) for item in ITEMS]
    assert [*result.outcomes[:5], *result.outcomes[6:]] == [*expected[:5], *expected[6:]]
    (refusal,) = result.refusals
    assert (refusal.item_id, refusal.reason) == ("item-5", KILLED)
    assert refusal.detail.startswith("2 workers ended")
    assert counts(tmp_path / "calls")["item-5"] <= 1 + 2
    assert not [path for path in (tmp_path / "attempts").rglob("*") if path.is_file()]


@pytest.mark.ray
def test_a_worker_killed_once_costs_its_batch_and_no_item(ray_executor: Executor, tmp_path: Path) -> None:
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double(kills_once=tmp_path / "killed")))
    result = run_flow(pipeline, ITEMS, ray_executor, Memory(tmp_path / "m"), attempts=Attempts(tmp_path / "a"))
    assert result.outcomes == tuple(Doubled(item.name, 2 * item.value**2) for item in ITEMS)
    redone = {name for name, count in counts(tmp_path / "calls").items() if count > 1}
    assert redone
    assert redone <= {f"item-{number}" for number in range(4, 8)}


PROGRAM = """
import sys
from pathlib import Path
from tests.pipelines.flow.test_flow_faults import *

folder = Path(sys.argv[1])
pipeline = Pipeline((Square(folder / "calls"), Double(kills=tuple(sys.argv[2:]))))
run_flow(pipeline, ITEMS, InProcessExecutor(1), Memory(folder / "memory"), attempts=Attempts(folder / "attempts", 2))
"""


def run_program(folder: Path, *kills: str) -> int:
    return subprocess.run([sys.executable, "-c", PROGRAM, str(folder), *kills], check=False).returncode


def test_a_killed_run_keeps_every_finished_item_and_the_next_goes_on(tmp_path: Path) -> None:
    assert run_program(tmp_path, "item-9") == -signal.SIGKILL
    assert run_program(tmp_path) == 0
    assert counts(tmp_path / "calls") == {item.name: 2 if item.name == "item-9" else 1 for item in ITEMS}


def test_an_item_that_kills_the_whole_program_is_given_up_too(tmp_path: Path) -> None:
    assert [run_program(tmp_path, "item-9") for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double()))
    memory = Memory(tmp_path / "memory")
    result = run_flow(pipeline, ITEMS, InProcessExecutor(), memory)
    assert [refusal.reason for refusal in result.refusals] == [KILLED]
    assert memory.forget(lambda refusal: refusal.reason == KILLED) == 1
    assert not run_flow(pipeline, ITEMS, InProcessExecutor(), memory).refusals


def test_a_journal_cut_short_gives_what_is_whole(tmp_path: Path) -> None:
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double()))
    memory, chain = Memory(tmp_path / "memory"), pipeline.chain
    journals = memory.journals()
    journal = journals.order(pipeline, 0).open()
    for number in range(3):
        both = (Squared(f"{number}", 1), Doubled(f"{number}", 2))
        journal.note([f"{number}"], batch_of([Trace(0, both)], pipeline))
    journal.note(["3"], batch_of([Trace(0, (Squared("3", 1),), Refusal("3", "double", "bad", "so"))], pipeline))
    memory.recover(pipeline, chain)
    (path,) = (tmp_path / "memory").glob("*.journal")
    assert memory.recall(pipeline, ["0"]) == {}, "the journal of a run that lives is its own"
    whole = path.read_bytes()
    for cut, num_known in ((0, 4), (100, 3), (len(whole) - 10, 0)):
        other = Memory(tmp_path / f"other-{cut}")
        other.folder.mkdir()
        (other.folder / path.name).write_bytes(whole[: len(whole) - cut])
        other.recover(pipeline, chain)
        assert len(other.recall(pipeline, ["0", "1", "2", "3"])) == num_known
        assert not list(other.folder.glob("*.journal"))


def test_a_journal_of_other_stages_gives_the_ones_that_are_the_same(tmp_path: Path) -> None:
    pipeline = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double()))
    memory = Memory(tmp_path / "memory")
    journals = memory.journals()
    journals.order(pipeline, 0).open().note(["0"], batch_of([Trace(0, (Squared("0", 1), Doubled("0", 2)))], pipeline))
    journals.close()
    changed = Pipeline[Item, Doubled]((Square(tmp_path / "calls"), Double(raises=("x",))))
    memory.recover(changed, changed.chain)
    assert memory.recall(changed, ["0"])["0"].num_stages == 1


def test_a_budget_of_no_attempts_is_refused() -> None:
    with pytest.raises(ValueError, match="a budget of 0 attempts"):
        Attempts(Path("nowhere"), 0)
