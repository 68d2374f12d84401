"""A thread that owns a sampling engine and steps it while songs run, so that anyone can ask for songs at any time."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from levo.model.sampling.engine import RequestError, SamplingEngine
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import LoadedModel


class EngineStoppedError(RuntimeError):
    """The engine was closed, or died of an error, before a song was finished."""


class EngineLoop:
    """One engine behind an inbox; every method may be called from any thread and returns at once."""

    def __init__(self, engine: SamplingEngine) -> None:
        self._engine = engine
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._songs: dict[str, Future[SampledSong]] = {}
        self._failure: Exception | None = None
        self._opening = threading.Lock()
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="sampling-engine", daemon=True)
        self._thread.start()

    def submit(self, request: SamplingRequest) -> "Future[SampledSong]":
        """Ask for a song; the future raises what the engine has against the request."""
        answer: Future[SampledSong] = Future()

        def act() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                self._engine.submit(request)
            except Exception as error:
                answer.set_exception(error)
                if not isinstance(error, ValueError):
                    raise
            else:
                self._songs[request.request_id] = answer

        self._send(act, answer)
        return answer

    def cancel(self, request_id: str) -> None:
        """Finish a song with the frames that it has."""

        def act() -> None:
            song = self._engine.cancel(request_id)
            if song is not None:
                self._songs.pop(request_id).set_result(song)

        self._send(act, Future())

    def swap_model(self, loaded: LoadedModel) -> "Future[str]":
        """Start songs on new weights from now on; answers with their digest."""
        answer: Future[str] = Future()

        def act() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                self._engine.swap_model(loaded)
            except Exception as error:
                answer.set_exception(error)
                if not isinstance(error, RequestError):
                    raise
            else:
                answer.set_result(loaded.digest)

        self._send(act, answer)
        return answer

    def check(self) -> None:
        """Raise where the engine has stopped."""
        if not self._thread.is_alive():
            raise EngineStoppedError("the sampling engine has stopped") from self._failure

    def close(self) -> None:
        """Stop after the current step; songs that are not finished raise `EngineStoppedError`."""
        self._inbox.put(None)
        self._thread.join()

    def _send(self, act: Callable[[], None], answer: "Future[Any]") -> None:
        with self._opening:
            if self._is_open:
                self._inbox.put(act)
                return
        answer.set_exception(EngineStoppedError("the sampling engine has stopped"))

    def _run(self) -> None:
        try:
            while self._take_messages():
                for song in self._engine.step():
                    self._songs.pop(song.request_id).set_result(song)
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._refuse_all()

    def _take_messages(self) -> bool:
        """Do what was asked, waiting for it while no song runs; false once closed."""
        while True:
            try:
                act = self._inbox.get(block=not self._songs)
            except queue.Empty:
                return True
            if act is None:
                return False
            act()

    def _refuse_all(self) -> None:
        """Answer everything that is left with the news that the engine has stopped."""
        with self._opening:
            self._is_open = False
        while not self._inbox.empty():
            act = self._inbox.get()
            if act is not None:
                act()
        why = "" if self._failure is None else f": {type(self._failure).__name__}: {self._failure}"
        for answer in self._songs.values():
            answer.set_exception(EngineStoppedError(f"the sampling engine stopped before the song was finished{why}"))
        self._songs.clear()
