"""A lease on a piece of work: one holder at a time, and a number by which one that overslept is kept from committing.

M. Burrows: The Chubby lock service, OSDI 2006 (sequencers); clocks of holders may differ by less than `SLACK_S`.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from pipelines.flow.pointers import MovedPointerError, Pointed, Pointer

_LOGGER = logging.getLogger(__name__)
SLACK_S = 5.0
_POLL_S = 1.0
Clock = Callable[[], float]


class HeldLeaseError(RuntimeError):
    """Somebody else holds the lease."""


class LostLeaseError(RuntimeError):
    """The lease ran out and somebody else took it: what was done under it must not be committed."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Who holds it under which number, and until when (seconds since the epoch); one that was given back has ended."""

    holder: str
    token: int
    until_s: float


class Lease:
    """A lease that lies in a pointer; every taking raises its token by one, renewing and giving back keep it."""

    def __init__(self, pointer: Pointer, holder: str, length_s: float = 120.0, clock: Clock = time.time) -> None:
        if length_s <= SLACK_S:
            raise ValueError(f"length_s is {length_s}; expected more than {SLACK_S:g}, which clocks may differ by")
        self._pointer, self._holder, self._clock = pointer, holder, clock
        self.length_s = length_s
        self._seen: Pointed | None = None
        self._token = 0

    @property
    def token(self) -> int:
        """The number under which it is held; 0 where it never was."""
        return self._token

    def take(self) -> int:
        """Take it, or raise HeldLeaseError with who holds it; the token is larger than any before."""
        seen = self._pointer.read()
        state = None if seen is None else _state(seen)
        if state is not None and self._clock() < state.until_s + SLACK_S:
            raise HeldLeaseError(f"{state.holder} is at work (token {state.token}) until {_shown(state.until_s)}")
        token = 1 if state is None else state.token + 1
        try:
            self._seen = self._put(seen, token, self._clock() + self.length_s)
        except MovedPointerError:
            state = self._now()
            holder = "somebody else" if state is None else state.holder
            raise HeldLeaseError(f"{holder} took it at the same time") from None
        self._token = token
        return token

    def take_over(self, sleep: Callable[[float], None] = time.sleep) -> int:
        """Take it, from a holder that died too, once its time is over.

        A holder that lives renews its lease: where that is seen, or where it has not run out within a length of this
        one, HeldLeaseError says who it is.
        """
        seen = self._now()
        deadline_s = self._clock() + self.length_s + SLACK_S
        while True:
            try:
                return self.take()
            except HeldLeaseError:
                if self._now() != seen or self._clock() > deadline_s:
                    raise
            sleep(_POLL_S)

    def renew(self) -> None:
        """Hold it for another length from now; raises LostLeaseError where it was taken meanwhile."""
        self._seen = self._moved(self._clock() + self.length_s)

    def check(self) -> None:
        """Raise LostLeaseError unless it is held, by this holder, right now: to be called just before a commit."""
        state = self._now()
        if state is None or not self._is_mine(state):
            raise self._lost(state)
        if self._clock() >= state.until_s:
            raise LostLeaseError(
                f"the lease of {self._holder} (token {self._token}) ran out at {_shown(state.until_s)}"
            )

    def give_back(self) -> None:
        """Let it end now; one that was lost meanwhile stays its new holder's."""
        try:
            self._moved(0.0)
        except LostLeaseError:
            return

    def _moved(self, until_s: float) -> Pointed:
        try:
            return self._put(self._seen, self._token, until_s)
        except MovedPointerError:
            now = self._pointer.read()
        # Where the answer to a move of our own was lost, the pointer is not as it was seen, and still ours.
        if now is None or not self._is_mine(_state(now)):
            raise self._lost(None if now is None else _state(now))
        try:
            return self._put(now, self._token, until_s)
        except MovedPointerError:
            raise self._lost(self._now()) from None

    def _is_mine(self, state: LeaseState) -> bool:
        return (state.holder, state.token) == (self._holder, self._token)

    def _now(self) -> LeaseState | None:
        now = self._pointer.read()
        return None if now is None else _state(now)

    def _lost(self, state: LeaseState | None) -> LostLeaseError:
        to_whom = "" if state is None else f" to {state.holder} (token {state.token})"
        return LostLeaseError(f"{self._holder} lost its lease (token {self._token}){to_whom}")

    def _put(self, seen: Pointed | None, token: int, until_s: float) -> Pointed:
        return self._pointer.move(seen, json.dumps(asdict(LeaseState(self._holder, token, until_s))))


@contextmanager
def kept(lease: Lease) -> Iterator[Callable[[], None]]:
    """Renew a lease while the block lasts, from a thread; the block's check raises LostLeaseError once it is lost.

    A process that is stopped renews nothing: it finds its lease lost when it goes on. A storage that fails is asked
    again, sooner; the lease itself says when that is too late.
    """
    ended = threading.Event()
    lost: list[LostLeaseError] = []

    def renew() -> None:
        wait_s = lease.length_s / 4
        while not ended.wait(wait_s):
            wait_s = lease.length_s / 4
            try:
                lease.renew()
            except LostLeaseError as error:
                lost.append(error)
                return
            except Exception:
                _LOGGER.warning("the lease could not be renewed; it is tried again", exc_info=True)
                wait_s = lease.length_s / 16

    def check() -> None:
        if lost:
            raise lost[0]
        lease.check()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()


def _state(pointed: Pointed) -> LeaseState:
    return LeaseState(**json.loads(pointed.text))


def _shown(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
