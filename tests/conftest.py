"""What every test shares: one thread a process, fixed seeds, the fixtures beside the repository, and local Rays."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {
    # Threads that fight for two cores cost more than they give.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "DS_ACCELERATOR": "cpu",
    # Loopback only, so no token is left in the home folder.
    "RAY_AUTH_MODE": "disabled",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# Here and not in a fixture: numpy and torch read them when a test module first imports them.
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests that need Ray in one process, where the tests are spread over several (`pytest -n`)."""
    for item in items:
        if item.get_closest_marker("ray") is not None:
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.fixture(autouse=True)
def seeded_generators() -> None:
    """Module initialisers draw from torch's global generator; give each test the same start."""
    random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of fixtures handed over with the project (recordings, parity cases); skips where it is absent."""
    folder = Path(os.environ.get("LEVO_SHARED", _REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set LEVO_SHARED to where the shared fixtures are")
    return folder


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A cluster for each test module: in one that Ray Data and Train had used, Ray Serve was seen to hang at its start.

    It has more logical CPUs than cores, because Ray's own actors ask for some.
    """
    import ray

    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=512 * 2**20,
    )
    yield
    ray.shutdown()
