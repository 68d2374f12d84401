"""The driver's view of training on a cluster: worker 0's journals, read as they grow, each interval handed on once."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from levo.training.journal import JOURNAL_FILE, logged_step
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
        self._journals = {name: _Journal(storage / name / JOURNAL_FILE) for name in phase_names}
        self._on_log = on_log
        self._interval_s = interval_s
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
        for name, journal in self._journals.items():
            for logged in journal.news():
                self._on_log(name, logged)

    def _watch(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.poll()


class _Journal:
    """One journal and how far it was read; a file that was cut back is another file (inode) under the same name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = -1
        self._offset = 0
        self._at_start = True
        self._last_step = 0
        self._old_start: LoggedStep | None = None
        at_entry = list(self._unread())
        if at_entry:
            self._old_start, self._last_step, self._at_start = at_entry[0], at_entry[-1].step, False

    def news(self) -> Iterator[LoggedStep]:
        """Intervals beyond the last one given; all of them where the phase started afresh since the tail began."""
        for logged in self._unread():
            if self._at_start and self._old_start not in (None, logged):
                self._old_start, self._last_step = None, 0
            self._at_start = False
            if logged.step > self._last_step:
                self._last_step = logged.step
                yield logged

    def _unread(self) -> Iterator[LoggedStep]:
        """Whole lines that were not read yet."""
        try:
            file = self._path.open()
        except FileNotFoundError:
            return
        with file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                self._inode, self._offset, self._at_start = inode, 0, True
            file.seek(self._offset)
            for line in file.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    self._offset += len(line.encode())
                    yield logged_step(line)
