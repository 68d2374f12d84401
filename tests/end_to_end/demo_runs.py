"""`levo demo` on the tiny recipe, as a user calls it."""

import subprocess
import sys
from pathlib import Path


def run_demo(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs", "demo", "--recipe", "tiny", "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)
