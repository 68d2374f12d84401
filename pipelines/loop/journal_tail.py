"""The driver's view of training on a cluster: worker 0's journals, read as they grow, each interval handed on once."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from levo.training.journal import JOURNAL_FILE, read_journal
from levo.training.loop import LoggedStep


class JournalTail:
    """A context in which new intervals of the phases' journals reach `on_log`, from a thread of its own.

    Intervals that a journal holds at entry are passed over, unless the phase then starts afresh; one that is written
    again after a crash comes once.
    """

    def __init__(
        self,
        storage: Path,
        phase_names: Sequence[str],
        on_log: Callable[[str, LoggedStep], None],
        *,
        interval_s: float = 1.0,
    ) -> None:
        """Watch `storage`, where each phase has a folder of its name."""
        self._journals = {name: storage / name / JOURNAL_FILE for name in phase_names}
        self._on_log = on_log
        self._interval_s = interval_s
        at_entry = {name: read_journal(path) for name, path in self._journals.items()}
        self._old_starts = {name: logged[0] for name, logged in at_entry.items() if logged}
        self._last_steps = {name: logged[-1].step if logged else 0 for name, logged in at_entry.items()}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="journal-tail", daemon=True)

    def __enter__(self) -> "JournalTail":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self.poll()

    def poll(self) -> None:
        """Hand on what is new."""
        for name, path in self._journals.items():
            journal = read_journal(path)
            if journal and name in self._old_starts and journal[0] != self._old_starts[name]:
                del self._old_starts[name]
                self._last_steps[name] = 0
            for logged in journal:
                if logged.step > self._last_steps[name]:
                    self._last_steps[name] = logged.step
                    self._on_log(name, logged)

    def _watch(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.poll()
