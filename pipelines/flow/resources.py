"""What a run costs: CPU seconds and peak memory of this process and everything it started, sampled by a thread."""

import threading
from pathlib import Path
from types import TracebackType

import psutil


class ResourceMonitor:
    """Samples the process tree while it is entered; processes that end between samples lose at most one interval."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._cpu_by_process: dict[tuple[int, float], float] = {}
        self._peak_bytes = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="resource-monitor", daemon=True)

    @property
    def peak_memory_bytes(self) -> int:
        """The largest sum seen until now of the processes' resident bytes, what they share counted once.

        Where the system tells no shares (other than Linux), shared pages are left out.
        """
        self._sample()
        return self._peak_bytes

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        with self._lock:
            self._peak_bytes = 0

    def cpu_seconds(self) -> float:
        """User and system seconds of the tree so far; only differences mean anything."""
        self._sample()
        return sum(self._cpu_by_process.values())

    def __enter__(self) -> "ResourceMonitor":
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            root = psutil.Process()
            total_bytes = 0
            for process in [root, *root.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    key = (process.pid, process.create_time())
                    self._cpu_by_process[key] = times.user + times.system
                    total_bytes += _memory_bytes(process)
                except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
                    continue
            self._peak_bytes = max(self._peak_bytes, total_bytes)


def _memory_bytes(process: psutil.Process) -> int:
    """Proportional set size: a page that several processes share (the object store, libraries) counts once in all."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except ProcessLookupError as gone:
        raise psutil.NoSuchProcess(process.pid) from gone
    except (FileNotFoundError, PermissionError):
        pass
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
