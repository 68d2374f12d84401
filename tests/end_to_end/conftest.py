"""One finished run of the tiny recipe, which all tests here look at and none changes."""

from pathlib import Path

import pytest

from tests.end_to_end.demo_runs import run_demo


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("loop") / "run"
    done = run_demo(out)
    assert done.returncode == 0, done.stderr[-4000:]
    return out
