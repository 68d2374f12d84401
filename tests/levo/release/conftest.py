"""The recorded small release, in the two forms that checkpoints have, one folder each."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PARITY = Path(__file__).parents[2] / "golden" / "parity" / "lelm_v2"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release's folder with `model.pt`."""
    folder = tmp_path / "release"
    folder.mkdir()
    shutil.copy2(PARITY / "config.yaml", folder / "config.yaml")
    shutil.copytree(PARITY / "tokenizer", folder / "tokenizer")
    torch.save(load_file(PARITY / "weights.safetensors"), folder / "model.pt")
    return folder


@pytest.fixture
def plain_release(release: Path) -> Path:
    """The same with a safetensors file instead."""
    (release / "model.pt").unlink()
    shutil.copy2(PARITY / "weights.safetensors", release / "weights.safetensors")
    return release
