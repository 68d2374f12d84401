"""What training frees goes back to the system."""

import subprocess
import sys

import pytest

_PROGRAM = """
import torch
from levo.training.allocator import return_freed_memory

def held():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

assert return_freed_memory() is True
del [torch.ones(4 * 2**20)][0]
before = held()
tensors = [torch.ones(3 * 2**20) for _ in range(40)]
full = held()
pins = tensors[::8]
del tensors
print(before, full, held())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator's options are glibc's")
def test_large_tensors_leave_no_gaps_behind_those_that_stay() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    before, full, after = map(float, done.stdout.split())
    assert full - before > 450
    assert after - before < 90
