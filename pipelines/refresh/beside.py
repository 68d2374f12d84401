"""Work that is done beside other work of a night, where its hands allow that."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pipelines.refresh.setting import NightSetting


@contextmanager
def beside(setting: NightSetting, work: Callable[[], object]) -> Iterator[None]:
    """Do work in a thread while the block lasts, where the hands overlap; its error is the block's.

    Where trainings use GPUs it is left to whoever needs it next: the samplers have given theirs back by then.
    """
    if not setting.hands.overlaps or setting.context.config.training.use_gpu:
        yield
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        done = pool.submit(work)
        yield
        done.result()
