"""The recorded cases of the released code's small model, and our model with the same weights."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from levo.model.config import LeLMConfig
from levo.model.lelm import LeLM
from levo.model.store import load_config, load_model
from levo.model.tokenizer import ConditionEncoder
from levo.release.importing import import_release

PARITY = Path(__file__).parents[2] / "golden" / "parity"


@pytest.fixture(scope="session")
def common_cases() -> dict[str, Any]:
    return _recorded(PARITY / "lelm_common")


@pytest.fixture(scope="session")
def lelm_cases() -> dict[str, Any]:
    return _recorded(PARITY / "lelm_v2")


@pytest.fixture(scope="session")
def parity_tokenizer() -> Path:
    return PARITY / "lelm_v2" / "tokenizer"


@pytest.fixture(scope="session")
def imported_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "model"
    import_release(PARITY / "lelm_v2", folder, weights=PARITY / "lelm_v2" / "weights.safetensors")
    return folder


@pytest.fixture(scope="session")
def parity_config(imported_release: Path) -> LeLMConfig:
    return load_config(imported_release)


@pytest.fixture(scope="session")
def parity_encoder(parity_tokenizer: Path, parity_config: LeLMConfig) -> ConditionEncoder:
    return ConditionEncoder(parity_tokenizer, parity_config)


@pytest.fixture
def parity_model(imported_release: Path) -> LeLM:
    return load_model(imported_release).model


def _recorded(folder: Path) -> dict[str, Any]:
    scalars: dict[str, Any] = json.loads((folder / "cases.json").read_text())
    return load_file(folder / "cases.safetensors") | scalars
