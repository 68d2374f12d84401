"""Progress of a run: one line a finished step, a bar in between, and plain lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ProgressCallback = Callable[[int, int], None]
_LINE_INTERVAL_S = 15.0


class RunProgress:
    """Announces the steps of a run in their order."""

    def __init__(self, num_steps: int, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._num_steps = num_steps
        self._step = 0

    @contextmanager
    def step(self, title: str) -> Iterator[ProgressCallback]:
        """Show one step; the callback takes (done, total) of whatever the step counts."""
        self._step += 1
        head = f"[{self._step:2d}/{self._num_steps}] {title}"
        if self.console.is_terminal:
            with self._bar(head) as report:
                yield report
        else:
            self.console.print(f"{head} ...", markup=False)
            yield self._lines(head)

    def done(self, title: str, wall_s: float, note: str, *, skipped: bool) -> None:
        """The line that a step leaves behind."""
        time_text = "done before" if skipped else f"{wall_s:6.1f} s"
        self.console.print(f"[{self._step:2d}/{self._num_steps}] {title:<32} {time_text:>11}  {note}", markup=False)

    @contextmanager
    def _bar(self, head: str) -> Iterator[ProgressCallback]:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            task = bar.add_task(head, total=None)

            def report(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            yield report

    def _lines(self, head: str) -> ProgressCallback:
        last = time.monotonic()

        def report(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _LINE_INTERVAL_S:
                last = time.monotonic()
                self.console.print(f"{head}: {done} of {total}", markup=False)

        return report
