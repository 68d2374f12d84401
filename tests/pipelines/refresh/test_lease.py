"""Leases: one holder at a time, numbers that only rise, and no commit by one that overslept."""

import contextlib
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.pointers import FilePointer, Pointed
from pipelines.refresh.lease import SLACK_S, HeldLeaseError, Lease, LostLeaseError, kept


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pointer(tmp_path: Path) -> FilePointer:
    return FilePointer(tmp_path / "lease.json")


def test_one_runs_and_the_other_is_told_who(pointer: FilePointer, clock: Clock) -> None:
    first, second = Lease(pointer, "host-a", 60, clock), Lease(pointer, "host-b", 60, clock)
    assert first.take() == 1
    with pytest.raises(HeldLeaseError, match=r"host-a is at work \(token 1\) until 1970-01-12 13:47:40 UTC"):
        second.take()
    first.check()
    first.give_back()
    with pytest.raises(LostLeaseError, match="ran out"):
        first.check()
    clock.now_s += SLACK_S
    assert second.take() == 2


def test_a_holder_that_renews_keeps_it(pointer: FilePointer, clock: Clock) -> None:
    first, second = Lease(pointer, "host-a", 60, clock), Lease(pointer, "host-b", 60, clock)
    first.take()
    for _ in range(5):
        clock.now_s += 50
        first.renew()
        first.check()
        with pytest.raises(HeldLeaseError):
            second.take()
    assert first.token == 1


def test_a_holder_that_overslept_can_neither_commit_nor_renew(pointer: FilePointer, clock: Clock) -> None:
    ghost, other = Lease(pointer, "ghost", 60, clock), Lease(pointer, "other", 60, clock)
    ghost.take()
    clock.now_s += 61
    with pytest.raises(LostLeaseError, match=r"the lease of ghost \(token 1\) ran out"):
        ghost.check()
    with pytest.raises(HeldLeaseError):
        other.take()
    clock.now_s += SLACK_S
    assert other.take() == 2
    with pytest.raises(LostLeaseError, match=r"ghost lost its lease \(token 1\) to other \(token 2\)"):
        ghost.check()
    with pytest.raises(LostLeaseError, match="lost its lease"):
        ghost.renew()
    ghost.give_back()
    other.check()


def test_who_has_run_out_but_was_not_replaced_may_renew(pointer: FilePointer, clock: Clock) -> None:
    lease = Lease(pointer, "host-a", 60, clock)
    lease.take()
    clock.now_s += 90
    lease.renew()
    lease.check()


def test_of_many_at_once_one_takes_it(pointer: FilePointer, clock: Clock) -> None:
    taken: list[int] = []

    def take(number: int) -> None:
        lease = Lease(pointer, f"host-{number}", 60, clock)
        try:
            taken.append(lease.take())
        except HeldLeaseError:
            return

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [1]


@given(
    acts=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take", "renew", "give_back", "wait"])), max_size=40),
    waits=st.lists(st.floats(0, 100), min_size=40, max_size=40),
)
def test_whatever_happens_at_most_one_may_commit_and_tokens_rise(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, str]], waits: list[float]
) -> None:
    clock, pointer = Clock(), FilePointer(tmp_path_factory.mktemp("lease") / "lease.json")
    leases = [Lease(pointer, f"host-{number}", 60, clock) for number in range(3)]
    tokens: list[int] = []
    for (number, act), wait_s in zip(acts, waits, strict=False):
        lease = leases[number]
        if act == "wait":
            clock.now_s += wait_s
        elif act == "take":
            with contextlib.suppress(HeldLeaseError):
                tokens.append(lease.take())
        elif lease.token:
            with contextlib.suppress(LostLeaseError):
                lease.renew() if act == "renew" else lease.give_back()
        assert sum(map(may_commit, leases)) <= 1
    assert tokens == sorted(set(tokens))


def may_commit(lease: Lease) -> bool:
    try:
        lease.check()
    except LostLeaseError:
        return False
    return True


def test_a_lease_shorter_than_clocks_differ_is_refused(pointer: FilePointer) -> None:
    with pytest.raises(ValueError, match="length_s is 5; expected more than 5"):
        Lease(pointer, "host", 5)


def test_a_dead_holders_lease_is_waited_for_and_taken(pointer: FilePointer, clock: Clock) -> None:
    Lease(pointer, "dead", 60, clock).take()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.now_s += seconds

    assert Lease(pointer, "next", 60, clock).take_over(sleep) == 2
    assert sum(waited) == pytest.approx(60 + SLACK_S, abs=2)


def test_a_holder_that_renews_lives_and_is_not_waited_for(pointer: FilePointer, clock: Clock) -> None:
    alive = Lease(pointer, "alive", 60, clock)
    alive.take()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.now_s += seconds
        if len(waited) == 3:
            alive.renew()

    with pytest.raises(HeldLeaseError, match="alive is at work"):
        Lease(pointer, "next", 60, clock).take_over(sleep)
    assert len(waited) == 3


def test_a_lease_that_is_longer_than_ones_patience_is_not_waited_for(pointer: FilePointer, clock: Clock) -> None:
    Lease(pointer, "dead", 6000, clock).take()

    def sleep(seconds: float) -> None:
        clock.now_s += seconds

    with pytest.raises(HeldLeaseError, match="dead is at work"):
        Lease(pointer, "next", 60, clock).take_over(sleep)


class FailingPointer:
    """A pointer whose storage fails for a while, before or after it has moved."""

    def __init__(self, pointer: FilePointer) -> None:
        self.pointer, self.num_failures, self.moves_first = pointer, 0, False

    def read(self) -> Pointed | None:
        return self.pointer.read()

    def move(self, seen: Pointed | None, text: str) -> Pointed:
        if not self.num_failures:
            return self.pointer.move(seen, text)
        self.num_failures -= 1
        if self.moves_first:
            self.pointer.move(seen, text)
        raise OSError("the storage does not answer")


@pytest.mark.parametrize("moves_first", [False, True])
def test_a_storage_that_fails_once_costs_no_lease(pointer: FilePointer, moves_first: bool) -> None:
    storage = FailingPointer(pointer)
    lease = Lease(storage, "host-a", 5.2)
    lease.take()
    storage.num_failures, storage.moves_first = 2, moves_first
    with kept(lease) as check:
        time.sleep(6.0)
        assert storage.num_failures == 0, "it was asked again"
        check()


def test_a_storage_that_fails_for_good_costs_the_lease(pointer: FilePointer, clock: Clock) -> None:
    storage = FailingPointer(pointer)
    lease = Lease(storage, "host-a", 60, clock)
    lease.take()
    storage.num_failures = 99
    clock.now_s += 61
    with pytest.raises(OSError, match="does not answer"):
        lease.renew()
    with pytest.raises(LostLeaseError, match="ran out"):
        lease.check()
