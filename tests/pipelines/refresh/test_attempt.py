"""Attempts and their journal: a step is done once a night, whatever ends attempts, and a ghost's lines are not read."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.flow.pointers import FilePointer
from pipelines.refresh.attempt import Attempt
from pipelines.refresh.lease import Lease, LostLeaseError, kept
from pipelines.refresh.night_journal import NightEvent, NightJournal

STEPS = ("choose", "songs", "pair", "align", "gate")


class Clock:
    """A clock that stands until it is moved."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Killed(BaseException):
    """What a kill does: nothing is tidied up that a handler of errors would."""


def lease_of(folder: Path, clock: Clock, name: str = "host") -> Lease:
    lease = Lease(FilePointer(folder / "lease"), name, 60, clock)
    lease.take()
    return lease


def next_attempt(folder: Path, clock: Clock, inputs: object = "head") -> Attempt:
    clock.now_s += 100
    return Attempt(folder / "night", lease_of(folder, clock), inputs)


def writing(done: list[str], step: str, killed: bool = False) -> Callable[[Path], dict[str, Any]]:
    def act(folder: Path) -> dict[str, Any]:
        done.append(step)
        (folder / "made").write_text(step)
        if killed:
            raise Killed
        return {"step": step}

    return act


@settings(max_examples=40)
@given(st.lists(st.integers(0, len(STEPS) - 1), max_size=6))
def test_however_often_it_is_killed_each_step_is_finished_once(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    folder, clock, done = tmp_path_factory.mktemp("line"), Clock(), list[str]()
    for kill in [*kills, None]:
        attempt = next_attempt(folder, clock)
        try:
            results = [attempt.step(step, writing(done, step, place == kill)) for place, step in enumerate(STEPS)]
        except Killed:
            continue
        assert [one.result for one in results] == [{"step": step} for step in STEPS]
        assert [(one.folder / "made").read_text() for one in results] == list(STEPS)
    assert [step for step, _ in itertools.groupby(done)] == sorted(set(done), key=STEPS.index), "never backwards"
    assert set(done) == set(STEPS)


def test_a_step_whose_inputs_changed_is_done_again_and_all_after_it(tmp_path: Path) -> None:
    clock, done = Clock(), list[str]()
    first = next_attempt(tmp_path, clock)
    for step in STEPS[:3]:
        first.step(step, writing(done, step))
    second = next_attempt(tmp_path, clock)
    second.step("choose", writing(done, "choose"))
    second.step("songs", writing(done, "songs"), "other inputs")
    second.step("pair", writing(done, "pair"))
    assert done == ["choose", "songs", "pair", "songs", "pair"]


def test_another_head_begins_the_night_anew(tmp_path: Path) -> None:
    clock, done = Clock(), list[str]()
    next_attempt(tmp_path, clock, "head").step("choose", writing(done, "choose"))
    next_attempt(tmp_path, clock, "rolled back").step("choose", writing(done, "choose"))
    assert done == ["choose", "choose"]


def test_what_was_begun_is_taken_over_and_a_ghost_finds_it_gone(tmp_path: Path) -> None:
    clock = Clock()
    ghost = next_attempt(tmp_path, clock)
    (ghost.work / "chunk").write_text("half of the songs")
    successor = next_attempt(tmp_path, clock)
    assert (successor.work / "chunk").read_text() == "half of the songs"
    assert not ghost.work.exists()
    with pytest.raises(LostLeaseError):
        ghost.step("songs", lambda _: {"from": "a ghost"})
    assert NightJournal(tmp_path / "night" / "journal.jsonl").done("songs", "") is None


def test_lines_of_a_ghost_are_not_read_even_where_it_got_to_write_them(tmp_path: Path) -> None:
    journal = NightJournal(tmp_path / "journal.jsonl")
    journal.add(1, NightEvent.BEGAN)
    journal.add(2, NightEvent.BEGAN)
    journal.add(1, NightEvent.DONE, "songs", "id", {"from": "a ghost"})
    assert journal.done("songs", "id") is None
    journal.add(2, NightEvent.DONE, "songs", "id", {"from": "its successor"})
    found = journal.done("songs", "id")
    assert found is not None
    assert found.result == {"from": "its successor"}


@given(st.integers(1, 200))
def test_a_line_that_a_kill_cut_off_costs_that_line_alone(
    tmp_path_factory: pytest.TempPathFactory, num_cut: int
) -> None:
    file = tmp_path_factory.mktemp("night") / "journal.jsonl"
    journal = NightJournal(file)
    journal.add(1, NightEvent.DONE, "choose", "one", {"a": 1})
    whole = file.read_bytes()
    journal.add(1, NightEvent.DONE, "songs", "two", {"b": 2})
    cut = min(num_cut, len(file.read_bytes()) - len(whole))
    file.write_bytes(file.read_bytes()[:-cut])
    journal.add(2, NightEvent.DONE, "songs", "two", {"b": 3})
    assert journal.done("choose", "one") is not None
    found = journal.done("songs", "two")
    assert found is not None
    assert found.result == {"b": 3}


def test_a_step_that_raises_is_in_the_journal_with_its_error(tmp_path: Path) -> None:
    def fail(_folder: Path) -> dict[str, Any]:
        raise ValueError("no prompts")

    with pytest.raises(ValueError, match="no prompts"):
        next_attempt(tmp_path, Clock()).step("choose", fail)
    lines = list(NightJournal(tmp_path / "night" / "journal.jsonl").lines())
    assert [(line.event, line.result) for line in lines[1:]] == [
        (NightEvent.FAILED, {"error": "ValueError: no prompts"})
    ]


def test_a_lease_that_is_taken_away_is_told_at_the_next_check(tmp_path: Path) -> None:
    pointer = FilePointer(tmp_path / "lease")
    lease = Lease(pointer, "host-a", 5.4)
    lease.take()
    with kept(lease) as check:
        check()
        pointer.file.write_text('{"holder": "host-b", "token": 2, "until_s": 99999999999.0}')
        with pytest.raises(LostLeaseError):
            check()
