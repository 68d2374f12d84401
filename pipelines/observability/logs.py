"""Log lines as JSON, each with what it is about: the run's key, the stage, the attempt and the song.

`log_context` says what the lines of a block are about. It reaches other processes where it is handed on: Ray's workers
take it with `worker_logging`, the workers of a flow with the flow's own.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

FORMAT_VARIABLE = "LEVO_LOG_FORMAT"
JSON, TEXT = "json", "text"
CLUSTER_JOB_VARIABLES = ("LEVO_SUBMISSION_ID", "RAY_JOB_CONFIG_JSON_ENV_VAR")
"""What a job's program finds in its environment: set by `levo submit`, or by Ray itself."""


@dataclass(frozen=True, slots=True)
class LogContext:
    """What a line is about; `songs` where a stage has several in hand at once, `song` where it has one."""

    run_key: str | None = None
    stage: str | None = None
    attempt: int | None = None
    song: str | None = None
    songs: tuple[str, ...] = ()


_CONTEXT: ContextVar[LogContext | None] = ContextVar("levo_log_context", default=None)
_of_process = LogContext()


def current_context() -> LogContext:
    """What lines are about here: the block's, else the process's."""
    return _CONTEXT.get() or _of_process


@contextmanager
def log_context(within: LogContext | None = None, /, **changes: Any) -> Iterator[None]:
    """Lines of this block are about what they were about before (or `within`), with these fields changed."""
    token = _CONTEXT.set(replace(within or current_context(), **changes))
    try:
        yield
    finally:
        _CONTEXT.reset(token)


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: `time` (UTC), `level`, `logger`, `message`, the context's fields, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in asdict(current_context()).items() if value not in (None, ())}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def are_json(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether logs are to be JSON: as LEVO_LOG_FORMAT says, else in a cluster's job that has no terminal."""
    asked = environment.get(FORMAT_VARIABLE)
    if asked is None:
        return not is_terminal and any(name in environment for name in CLUSTER_JOB_VARIABLES)
    if asked not in (JSON, TEXT):
        raise ValueError(f"{FORMAT_VARIABLE} is {asked!r}; expected {JSON!r} or {TEXT!r}")
    return asked == JSON


def log_as_json(level: int = logging.INFO) -> None:
    """Have everything that this process logs, uncaught errors included, written to stderr as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    sys.excepthook = _log_uncaught
    give_rays_lines_to_root()


def logs_are_json() -> bool:
    """Whether `log_as_json` holds in this process."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def give_rays_lines_to_root() -> None:
    """Take away the handler that Ray's logger has of its own, where Ray is loaded."""
    if "ray" in sys.modules:
        logger = logging.getLogger("ray")
        logger.handlers.clear()
        logger.propagate = True


def worker_logging() -> dict[str, Any]:
    """What `ray.init` takes, so that this job's workers log as this process does; nothing where its logs are plain.

    Ray calls the hook in every worker of the job, Train's and Serve's too, before its first task. (Ray's own
    `logging_config` knows the task and the actor of a line, and nothing of a run.)
    """
    if not logs_are_json():
        return {}
    return {"runtime_env": {"worker_process_setup_hook": _worker_setup(current_context())}}


def _worker_setup(context: LogContext) -> Callable[[], None]:
    def set_up() -> None:
        from pipelines.observability import logs

        logs._of_process = context
        logs.log_as_json()

    return set_up


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))
