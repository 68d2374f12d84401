"""The resource monitor, against work of known cost."""

import subprocess
import sys
import time

from pipelines.flow.resources import ResourceMonitor


def test_work_of_child_processes_counts_and_sleep_does_not() -> None:
    spin = "import time\nwhile time.process_time() < 1.0: pass\ntime.sleep(4)"
    with ResourceMonitor(interval_s=0.1) as monitor:
        before, own = monitor.cpu_seconds(), time.process_time()
        subprocess.run([sys.executable, "-c", spin], check=True)
        own = time.process_time() - own
        spent = monitor.cpu_seconds() - before - own
    assert 0.9 <= spent <= 3.0, "threads of this process that others left are its own; with the sleep it would be 5"


def test_memory_of_child_processes_counts() -> None:
    hold = "block = bytearray(200 << 20)\nblock[::4096] = b'x' * len(block[::4096])\nimport time\ntime.sleep(2)"
    with ResourceMonitor(interval_s=0.1) as monitor:
        time.sleep(0.3)
        alone = monitor.peak_memory_bytes
        subprocess.run([sys.executable, "-c", hold], check=True)
        assert monitor.peak_memory_bytes - alone >= 190 << 20
