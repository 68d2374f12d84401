"""Model folders: written whole, named by their content, read back to the same model or refused with the reason."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from levo.model import store
from levo.model.construction import new_lelm
from levo.model.lelm import LeLM
from levo.model.store import ModelFolderError, load_model, model_digest, save_model


def test_a_model_is_read_back_bit_by_bit(tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path) -> None:
    digest = save_model(parity_model, parity_tokenizer, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.digest == digest == model_digest(tmp_path / "model")
    assert loaded.model.config == parity_model.config
    for name, tensor in parity_model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    assert torch.equal(loaded.model.transformer.model.rotary.cos, parity_model.transformer.model.rotary.cos)


def test_the_digest_follows_weights_config_and_tokenizer(
    tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path
) -> None:
    digests = [save_model(parity_model, parity_tokenizer, tmp_path / name) for name in ("a", "b")]
    assert digests[0] == digests[1]
    with (tmp_path / "b" / "tokenizer" / "merges.txt").open("a") as file:
        file.write("x y\n")
    with torch.no_grad():
        parity_model.transformer.lm_head.weight[0, 0] += 1e-6
    digests += [model_digest(tmp_path / "b"), save_model(parity_model, parity_tokenizer, tmp_path / "c")]
    assert len(set(digests)) == 3


def test_another_shape_is_refused_with_the_tensor_and_both_shapes(
    tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path
) -> None:
    save_model(parity_model, parity_tokenizer, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"feed_forward_width": 100}))
    with pytest.raises(ModelFolderError, match=r"gate_proj\.weight has shape \[96, 64\].*asks for \[100, 64\]"):
        load_model(tmp_path / "model")


def test_missing_and_unknown_tensors_are_named(tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path) -> None:
    save_model(parity_model, parity_tokenizer, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"num_layers": 3}))
    with pytest.raises(ModelFolderError, match=r"9 tensors missing \(transformer\.model\.layers\.2\."):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_or_missing_file_is_named(
    file: str, tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path
) -> None:
    save_model(parity_model, parity_tokenizer, tmp_path / "model")
    (tmp_path / "model" / file).write_text("{")
    with pytest.raises(ModelFolderError, match=file):
        load_model(tmp_path / "model")
    (tmp_path / "model" / file).unlink()
    with pytest.raises(ModelFolderError, match=f"{file} is missing"):
        load_model(tmp_path / "model")


def test_a_failed_save_leaves_the_old_model_and_nothing_else(
    tmp_path: Path, parity_model: LeLM, parity_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = save_model(parity_model, parity_tokenizer, tmp_path / "model")
    other = new_lelm(replace(parity_model.config, num_layers=1), 0)

    def full_disk(weights: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_file", full_disk)
        with pytest.raises(OSError, match="No space left"):
            save_model(other, parity_tokenizer, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert load_model(tmp_path / "model").digest == digest
    assert save_model(other, parity_tokenizer, tmp_path / "model") != digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
