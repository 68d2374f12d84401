import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from levo.alignment.interpolation import PROVENANCE_FILE, MergeError, WeightedModel, merge_models
from levo.model.safetensors_files import SafetensorsWriter
from levo.model.store import load_model, model_digest


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> list[Path]:
    """Three models that differ everywhere but in one tensor."""
    folders = []
    for number in range(3):
        folder = tmp_path / f"model-{number}"
        shutil.copytree(tiny_model, folder)
        weights = load_file(folder / "model.safetensors")
        generator = torch.Generator().manual_seed(number)
        moved = {
            name: tensor + 0.01 * torch.randn(tensor.shape, generator=generator)
            for name, tensor in weights.items()
            if name != "emb.0.weight"
        }
        save_file(weights | moved, folder / "model.safetensors")
        folders.append(folder)
    return folders


def _weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_mixture_is_the_weighted_sum_of_every_tensor(models: list[Path], tmp_path: Path) -> None:
    coefficients = (0.5, 0.3, 0.2)
    parts = [WeightedModel(folder, value) for folder, value in zip(models, coefficients, strict=True)]
    digest = merge_models(parts, tmp_path / "mixed")
    sources, mixed = [_weights(folder) for folder in models], _weights(tmp_path / "mixed")
    assert mixed.keys() == sources[0].keys()
    for name, tensor in mixed.items():
        expected = sum(value * source[name].double() for value, source in zip(coefficients, sources, strict=True))
        torch.testing.assert_close(tensor.double(), expected, atol=0, rtol=1.2e-7)
    assert digest == load_model(tmp_path / "mixed").digest
    provenance = json.loads((tmp_path / "mixed" / PROVENANCE_FILE).read_text())["parts"]
    assert provenance == [
        {"digest": model_digest(folder), "coefficient": value}
        for folder, value in zip(models, coefficients, strict=True)
    ]


def test_a_model_with_the_whole_weight_comes_back_as_the_same_file(models: list[Path], tmp_path: Path) -> None:
    digest = merge_models([WeightedModel(models[0], 0.0), WeightedModel(models[1], 1.0)], tmp_path / "mixed")
    assert digest == model_digest(models[1])


def test_a_tensor_that_all_models_share_keeps_its_bits(models: list[Path], tmp_path: Path) -> None:
    merge_models([WeightedModel(folder, 1 / 3) for folder in models], tmp_path / "mixed")
    assert torch.equal(_weights(tmp_path / "mixed")["emb.0.weight"], _weights(models[0])["emb.0.weight"])


def test_differences_from_a_base_may_weigh_anything(models: list[Path], tmp_path: Path) -> None:
    parts = [WeightedModel(models[1], 0.8), WeightedModel(models[2], 0.9)]
    merge_models(parts, tmp_path / "mixed", base=models[0])
    base, first, second = (_weights(folder) for folder in models)
    for name, tensor in _weights(tmp_path / "mixed").items():
        expected = base[name] + 0.8 * (first[name] - base[name]) + 0.9 * (second[name] - base[name])
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=0)


def test_coefficients_that_do_not_sum_to_one_are_refused(models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(MergeError, match=r"\[0.5, 0.4\] sum to 0.9; expected 1"):
        merge_models([WeightedModel(models[0], 0.5), WeightedModel(models[1], 0.4)], tmp_path / "mixed")


def test_models_of_another_shape_or_tokenizer_are_refused(models: list[Path], tmp_path: Path) -> None:
    parts = [WeightedModel(folder, 0.5) for folder in models[:2]]
    merges = models[1] / "tokenizer" / "merges.txt"
    kept = merges.read_text()
    merges.write_text(kept + "x y\n")
    with pytest.raises(MergeError, match=r"model-1 has another tokenizer than .*model-0"):
        merge_models(parts, tmp_path / "mixed")
    merges.write_text(kept)
    config = json.loads((models[1] / "config.json").read_text())
    (models[1] / "config.json").write_text(json.dumps(config | {"width": 64}))
    with pytest.raises(MergeError, match="another shape"):
        merge_models(parts, tmp_path / "mixed")
    (models[1] / "config.json").write_text(json.dumps(config))
    weights = _weights(models[1])
    save_file(weights | {"emb.0.weight": weights["emb.0.weight"].half()}, models[1] / "model.safetensors")
    with pytest.raises(MergeError, match=r"emb\.0\.weight is \('F16'"):
        merge_models(parts, tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.tuples(
            st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
            st.lists(st.integers(0, 3), max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_written_file_is_what_the_library_reads(
    tmp_path_factory: pytest.TempPathFactory, layout: dict[str, tuple[torch.dtype, list[int]]]
) -> None:
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64", torch.bool: "BOOL"}
    tensors = {name: (torch.rand(shape) * 9).to(dtype) for name, (dtype, shape) in layout.items()}
    path = tmp_path_factory.mktemp("written") / "x.safetensors"
    with SafetensorsWriter(path, {name: (names[t.dtype], tuple(t.shape)) for name, t in tensors.items()}) as writer:
        for name, tensor in tensors.items():
            writer.write(name, tensor)
    read = load_file(path)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_a_tensor_that_was_not_announced_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="expected a, F32"),
        SafetensorsWriter(tmp_path / "x", {"a": ("F32", (2,))}) as writer,
    ):
        writer.write("a", torch.zeros(3))
    with (
        pytest.raises(ValueError, match="0 of 1 announced"),
        SafetensorsWriter(tmp_path / "y", {"a": ("F32", (2,))}),
    ):
        pass
