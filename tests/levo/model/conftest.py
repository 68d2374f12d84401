"""The recorded cases of the released code's small model, and our model with the same weights."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from levo.model.config import LeLMConfig
from levo.model.lelm import LeLM
from levo.model.released import released_config, released_weights
from levo.model.tokenizer import ConditionEncoder, read_vocabulary

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
def parity_config(parity_tokenizer: Path) -> LeLMConfig:
    text = (PARITY / "lelm_v2" / "config.yaml").read_text()
    return released_config(text, read_vocabulary(parity_tokenizer))


@pytest.fixture(scope="session")
def parity_encoder(parity_tokenizer: Path, parity_config: LeLMConfig) -> ConditionEncoder:
    return ConditionEncoder(parity_tokenizer, parity_config)


@pytest.fixture
def parity_model(parity_config: LeLMConfig) -> LeLM:
    model = LeLM(parity_config)
    model.load_state_dict(released_weights(load_file(PARITY / "lelm_v2" / "weights.safetensors")))
    return model.eval()


def _recorded(folder: Path) -> dict[str, Any]:
    scalars: dict[str, Any] = json.loads((folder / "cases.json").read_text())
    return load_file(folder / "cases.safetensors") | scalars
