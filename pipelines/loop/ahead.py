"""Work ahead: what later steps will need, done beside a step that leaves the processors idle now and then.

Two workers in step wait for each other at every step, and the last songs of a batch leave rows empty. A process that
the system runs only where nobody else wants the processor makes use of that, and costs the others nothing. Nothing
rests on it: every piece of work is one that its own step skips where it finds it done, and does where it does not.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import GetTimeoutError, RayError, TaskCancelledError

from pipelines.loop.context import LoopContext

Work = Callable[[LoopContext], object]

_LONGEST_END_S = 30.0
_LOWEST_PRIORITY = 19


@contextmanager
def working_ahead(context: LoopContext, work: Work) -> Iterator[None]:
    """Do `work` in a process of its own while the block lasts, and break it off when the block ends.

    `work` must keep what it finishes and bear being broken off anywhere. Its errors are logged, not raised: the step
    whose work it is comes upon them itself. On GPUs nothing is done ahead, since there the models of later steps would
    ask for the memory of this one's.
    """
    if context.config.training.use_gpu:
        yield
        return
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_work_idly).remote(context, work)
    try:
        yield
    finally:
        _end(task)


def _work_idly(context: LoopContext, work: Work) -> None:
    _take_lowest_priority()
    work(context)


def _take_lowest_priority() -> None:
    """Run only where a processor has nothing else to do."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(_LOWEST_PRIORITY)


def _end(task: "ray.ObjectRef[None]") -> None:
    """Break the work off where it goes on; return once its process writes no more."""
    log = logging.getLogger(__name__)
    if not ray.is_initialized():
        return
    try:
        ray.cancel(task)
        ray.get(task, timeout=_LONGEST_END_S)
    except TaskCancelledError:
        pass
    except GetTimeoutError:
        ray.cancel(task, force=True)
        ray.wait([task])
    except RayError as error:
        log.warning("work ahead of its step failed; the step does it anew: %s", error)
