"""Threads of a program start and stop applications one after the other, descriptions of deployments included."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import serve

from pipelines.loop.applications import run_application, stop_application


def test_no_two_threads_are_in_serve_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    @contextmanager
    def counted() -> Iterator[None]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        yield
        with lock:
            inside -= 1

    def described() -> Any:
        with counted():
            return "an application"

    def told(*_: Any, **__: Any) -> Any:
        with counted():
            return SimpleNamespace(applications={"a": None, "b": None})

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    for name in ("start", "run", "status", "delete", "shutdown"):
        monkeypatch.setattr(serve, name, told)
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(run_application, described, name) for name in "ab"]
        done += [pool.submit(stop_application, name) for name in "ab"]
        for one in done:
            one.result()
    assert most == 1
