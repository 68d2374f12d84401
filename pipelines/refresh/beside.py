"""Work that is done beside other work of a night, where its hands allow that."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

from pipelines.refresh.setting import NightSetting


class StoppedError(Exception):
    """The work is no longer wanted; what it finished is on file."""


@contextmanager
def beside(setting: NightSetting, work: Callable[[NightSetting], object]) -> Iterator[None]:
    """Do work in a thread while the block lasts, where the hands overlap; its error is the block's.

    Where the block fails, the work is told at its next progress (a chunk of songs) to stop, and the block's error is
    what is raised. Where trainings use GPUs it is left to whoever needs it next: the samplers have given theirs back
    by then.
    """
    if not setting.hands.overlaps or setting.context.config.training.use_gpu:
        yield
        return
    unwanted = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        done = pool.submit(work, _stopped_by(unwanted, setting))
        try:
            yield
        except BaseException:
            unwanted.set()
            raise
        done.result()


def _stopped_by(unwanted: Event, setting: NightSetting) -> NightSetting:
    told = setting.watch.progress

    def progress(done: int, total: int) -> None:
        if unwanted.is_set():
            raise StoppedError(f"stopped after {done} of {total} songs")
        told(done, total)

    return replace(setting, watch=replace(setting.watch, progress=progress))
