"""The same flow gives the same rows in process and on Ray Data, and refuses what does not fit."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from levo.song.files import writing
from pipelines.flow.executor import Executor, InProcessExecutor, StageError
from pipelines.flow.identity import record_digest, stage_identity
from pipelines.flow.memory import Memory
from pipelines.flow.pipeline import Pipeline, PipelineError
from pipelines.flow.run import FlowResult, Progress, run_flow, run_in_parts
from pipelines.flow.stage import NOT_IDENTITY, Refusal, Resources, Stage, Work


@dataclass(frozen=True, slots=True)
class Word:
    text: str


@dataclass(frozen=True, slots=True)
class Number:
    text: str
    value: int


@dataclass(frozen=True, slots=True)
class Root:
    text: str
    root: float | None
    digits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parse(Stage[Word, Number]):
    name: ClassVar[str] = "parse"
    version: ClassVar[str] = "1"
    base: int = 10
    calls: Path | None = field(default=None, metadata=NOT_IDENTITY)

    def open(self) -> Work[Word, Number]:
        return self._parse

    def _parse(self, batch: Sequence[Word]) -> list[Number | Refusal]:
        if self.calls:
            with self.calls.open("a") as file:
                file.writelines(f"parse {word.text}\n" for word in batch)
        return [self._parse_one(word) for word in batch]

    def _parse_one(self, word: Word) -> Number | Refusal:
        try:
            return Number(word.text, int(word.text, self.base))
        except ValueError:
            return self.refuse(word.text, "no number", f"{word.text!r} is no number of base {self.base}")


@dataclass(frozen=True, slots=True)
class TakeRoot(Stage[Number, Root]):
    name: ClassVar[str] = "root"
    version: ClassVar[str] = "1"
    smallest: int = 0
    calls: Path | None = field(default=None, metadata=NOT_IDENTITY)
    num_cpus: float = field(default=1.0, metadata=NOT_IDENTITY)

    @property
    def resources(self) -> Resources:
        return Resources(num_cpus=self.num_cpus)

    def open(self) -> Work[Number, Root]:
        return self._root

    def _root(self, batch: Sequence[Number]) -> list[Root | Refusal]:
        if self.calls:
            with self.calls.open("a") as file:
                file.writelines(f"root {number.text}\n" for number in batch)
        return [self._root_one(number) for number in batch]

    def _root_one(self, number: Number) -> Root | Refusal:
        if number.value < self.smallest:
            return self.refuse(number.text, "too small", f"{number.value} is below {self.smallest}")
        root = number.value**0.5 if number.value >= 0 else None
        return Root(number.text, root, tuple(map(int, str(abs(number.value)))))


@dataclass(frozen=True, slots=True)
class Forgetful(Stage[Number, Root]):
    name: ClassVar[str] = "forgetful"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Number, Root]:
        return lambda batch: []


@dataclass(frozen=True, slots=True)
class Explode(Stage[Number, Number]):
    name: ClassVar[str] = "explode"
    version: ClassVar[str] = "1"
    at: int = 0
    armed: Path = field(default=Path(), metadata=NOT_IDENTITY)

    def open(self) -> Work[Number, Number]:
        return self._check

    def _check(self, batch: Sequence[Number]) -> list[Number | Refusal]:
        if self.armed.exists() and any(number.value == self.at for number in batch):
            with writing(self.armed):
                raise OSError(28, "No space left on device")
        return list(batch)


@pytest.fixture(params=["in_process", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "in_process":
        yield InProcessExecutor(batch_size=3)
        return
    request.getfixturevalue("local_ray")
    from ray import cloudpickle

    from pipelines.flow.ray_executor import RayExecutor

    # Workers cannot import a test module by its name.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield RayExecutor(num_workers=2, batch_size=3)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


WORDS = [Word(text) for text in ["4", "nine", "-9", "16", "", "25", "7x", "36", "-100", "49", "64"]]
EXPECTED = (
    Root("4", 2.0, (4,)),
    Refusal("nine", "parse", "no number", "'nine' is no number of base 10"),
    Root("-9", None, (9,)),
    Root("16", 4.0, (1, 6)),
    Refusal("", "parse", "no number", "'' is no number of base 10"),
    Root("25", 5.0, (2, 5)),
    Refusal("7x", "parse", "no number", "'7x' is no number of base 10"),
    Root("36", 6.0, (3, 6)),
    Refusal("-100", "root", "too small", "-100 is below -50"),
    Root("49", 7.0, (4, 9)),
    Root("64", 8.0, (6, 4)),
)


@pytest.mark.parametrize("num_cpus", [1.0, 0.5], ids=["fused", "apart"])
def test_every_item_has_one_outcome_in_order_and_refusals_pass_through(executor: Executor, num_cpus: float) -> None:
    steps: list[Progress] = []
    pipeline = Pipeline[Word, Root]((Parse(), TakeRoot(-50, num_cpus=num_cpus)))
    result = run_flow(pipeline, WORDS, executor, progress=steps.append)
    assert result.outcomes == EXPECTED
    assert steps[0] == Progress(0, 11, 0, 0)
    assert steps[-1] == Progress(11, 11, 4, 0)
    done = [step.num_done for step in steps]
    assert done == sorted(set(done))


def test_a_rerun_does_only_what_is_new_and_remembers_refusals(executor: Executor, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    memory = Memory(tmp_path / "memory")

    def run(words: Sequence[Word], smallest: int = -50) -> list[str]:
        calls.unlink(missing_ok=True)
        pipeline = Pipeline[Word, Root]((Parse(calls=calls), TakeRoot(smallest, calls=calls)))
        result = run_flow(pipeline, words, executor, memory)
        fresh = run_flow(Pipeline[Word, Root]((Parse(), TakeRoot(smallest))), words, InProcessExecutor())
        assert result.outcomes == fresh.outcomes
        return sorted(calls.read_text().splitlines()) if calls.exists() else []

    assert len(run(WORDS)) == 11 + 8
    assert run(WORDS) == []
    changed = [*WORDS[:3], Word("17"), Word("eight"), *WORDS[5:]]
    assert run(changed) == ["parse 17", "parse eight", "root 17"]
    passed = [word.text for word in changed if word.text not in ("nine", "eight", "7x")]
    assert run(changed, smallest=-5) == sorted(f"root {text}" for text in passed)


def test_a_run_that_broke_goes_on_where_it_was(executor: Executor, tmp_path: Path) -> None:
    calls, armed = tmp_path / "calls", tmp_path / "armed"
    armed.touch()
    memory = Memory(tmp_path / "memory")
    words = [Word(str(number)) for number in range(24)]
    pipeline = Pipeline[Word, Root]((Parse(calls=calls), Explode(23, armed), TakeRoot()))
    with pytest.raises(OSError, match=re.escape(f"cannot write {armed}: No space left on device")):
        run_flow(pipeline, words, executor, memory)
    armed.unlink()
    calls.unlink()
    steps: list[Progress] = []
    result = run_flow(pipeline, words, executor, memory, steps.append)
    assert [root.root for root in result.records] == [number**0.5 for number in range(24)]
    assert 0 < len(calls.read_text().splitlines()) < 24
    assert result.num_reused == steps[-1].num_reused == 24 - len(calls.read_text().splitlines())


def test_parts_give_what_the_whole_gives_and_hold_one_part(executor: Executor, tmp_path: Path) -> None:
    asked: list[int] = []

    class Words(list[Word]):
        def __getitem__(self, place: slice) -> list[Word]:  # type: ignore[override]
            found = list.__getitem__(self, place)
            asked.append(len(found))
            return found

    memory, steps = Memory(tmp_path / "memory"), list[Progress]()
    pipeline = Pipeline[Word, Root]((Parse(), TakeRoot(-50)))

    def run() -> list[FlowResult[Root]]:
        return list(run_in_parts(pipeline, Words(WORDS), executor, memory, steps.append, part_size=4, weigh=weight))

    def weight(record: object) -> int:
        return len(record.digits) if isinstance(record, Root) else 0

    first, again = run(), run()
    assert sum((part.outcomes for part in first), ()) == EXPECTED
    assert asked == [4, 4, 3] * 2
    assert [part.num_reused for part in first] == [0, 0, 0]
    assert [part.num_reused for part in again] == [4, 4, 3]
    assert [part.added_weight for part in first] == [1 + 1 + 2, 2 + 2, 2 + 2]
    assert [part.added_weight for part in again] == [0, 0, 0]
    assert steps[-1] == Progress(11, 11, 4, 11)
    assert [part.outcomes for part in again] == [part.outcomes for part in first]
    assert all(part.stage_seconds["parse"] > 0 for part in first)
    assert not any(part.stage_seconds for part in again)


def test_an_index_tells_how_far_an_item_is(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    run_flow(Pipeline[Word, Root]((Parse(), TakeRoot(-50))), WORDS, InProcessExecutor(), memory)
    changed = memory.index(Pipeline[Word, Root]((Parse(), TakeRoot())))
    assert {changed.num_stages(record_digest(word)) for word in WORDS} == {1, 2}
    assert [word.text for word in WORDS if changed.num_stages(record_digest(word)) == 2] == ["nine", "", "7x"]
    assert changed.num_stages(record_digest(Word("unknown"))) == 0


def test_no_items_need_no_worker(executor: Executor) -> None:
    assert run_flow(Pipeline[Word, Root]((Parse(), TakeRoot())), [], executor).outcomes == ()


def test_a_stage_that_loses_items_is_named() -> None:
    with pytest.raises(StageError, match="stage 'forgetful' gave 0 outcomes for 1 items"):
        run_flow(Pipeline[Word, Root]((Parse(), Forgetful())), [Word("1")], InProcessExecutor())


def test_stages_that_do_not_fit_are_refused_with_both_names_and_types() -> None:
    with pytest.raises(PipelineError, match="stage 'root' gives Root, but the next stage 'parse' takes Word"):
        Pipeline[Number, Number]((TakeRoot(), Parse()))
    with pytest.raises(PipelineError, match=r"\['explode'\] occur twice"):
        Pipeline[Number, Number]((Explode(), Explode(at=1)))
    with pytest.raises(PipelineError, match="no stages"):
        Pipeline[Number, Number](())


def test_neighbours_that_need_the_same_share_a_worker() -> None:
    stages = (Parse(), Explode(), TakeRoot(num_cpus=0.5))
    assert [(group.start, len(group.stages)) for group in Pipeline[Word, Root](stages).groups] == [(0, 2), (2, 1)]


def test_identity_is_name_version_and_parameters_but_not_where_things_lie() -> None:
    assert stage_identity(Parse(base=10)) == stage_identity(Parse(calls=Path("elsewhere")))
    assert stage_identity(Parse(base=10)) != stage_identity(Parse(base=16))

    @dataclass(frozen=True, slots=True)
    class LaterParse(Parse):
        version: ClassVar[str] = "2"

    assert stage_identity(LaterParse()) != stage_identity(Parse())
    assert record_digest(Word("a")) != record_digest(Word("b"))
    assert record_digest(Word("1")) != record_digest(Number("1", 1))
