"""What every test shares: one thread a process, fixed seeds, the fixtures beside the repository, and local Rays."""

import os
import random
import resource
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.pipelines.corpus.s3_server import S3Server

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
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


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LeLM's folder: width 32, 2 + 1 layers, 24 codes, six words, freshly initialised."""
    from levo.model.config import demo_config
    from levo.model.construction import new_lelm
    from levo.model.store import save_model
    from levo.model.tokenizer import build_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    config = replace(
        demo_config(build_tokenizer(("sun", "moon", "rain", "wind", "stone", "light"), folder / "tokenizer")),
        width=32,
        num_heads=2,
        feed_forward_width=48,
        num_layers=2,
        num_decoder_layers=1,
        code_size=24,
        max_positions=160,
        max_decoder_positions=160,
        max_lyrics_tokens=16,
        max_description_tokens=8,
        max_prompt_frames=6,
    )
    save_model(new_lelm(config, seed=0), folder / "tokenizer", folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def within() -> Callable[[float, Callable[[], Any]], Any]:
    """Calls what may hang, and fails after so many seconds where it does."""

    def call(seconds: float, act: Callable[[], Any]) -> Any:
        pool = ThreadPool(1)
        answer = pool.apply_async(act)
        pool.close()
        return answer.get(seconds)

    return call


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A context in which no file of this process may pass a size: to write more raises, as on a full disk.

    (Python ignores the signal that would end the process.)
    """

    @contextmanager
    def limited(num_bytes: int) -> Iterator[None]:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limited


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A cluster for each test module, so that none finds what another left in it.

    It has more logical CPUs than cores, because Ray's own actors ask for some. While it is up no test may fork: the
    child shares Ray's sockets, what it drops is written into them, and the parent's next calls are never answered.
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


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3-compatible server that lasts for all tests of a process."""
    server = S3Server(tmp_path_factory.mktemp("s3") / "log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new bucket, which the environment leads to."""
    for name, value in {**s3_server.environment, "AWS_ENDPOINT_URL": s3_server.url}.items():
        monkeypatch.setenv(name, value)
    name = f"levo-{uuid.uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name)
    return f"s3://{name}"
