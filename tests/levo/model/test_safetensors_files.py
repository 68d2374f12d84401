"""The reader takes what the library and the writer wrote, and refuses what is no whole file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from levo.model.safetensors_files import SafetensorsReader, SafetensorsWriter

TENSORS = {
    "a": torch.arange(12, dtype=torch.float32).view(3, 4),
    "b.c": torch.arange(5).to(torch.bfloat16),
    "empty": torch.zeros(0, 3),
    "flag": torch.tensor(True),
}


def test_what_the_library_wrote_is_read_to_the_bit(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "x.safetensors", metadata={"format": "pt"})
    with SafetensorsReader(tmp_path / "x.safetensors") as file:
        assert file.layout.keys() == TENSORS.keys()
        for name, tensor in TENSORS.items():
            assert torch.equal(file.tensor(name), tensor)
            assert file.layout[name][1] == tuple(tensor.shape)


def test_the_library_reads_what_was_copied_tensor_by_tensor(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "x.safetensors")
    with (
        SafetensorsReader(tmp_path / "x.safetensors") as file,
        SafetensorsWriter(tmp_path / "y.safetensors", file.layout) as copy,
    ):
        for name in file.layout:
            copy.write(name, file.tensor(name))
    for name, tensor in load_file(tmp_path / "y.safetensors").items():
        assert torch.equal(tensor, TENSORS[name])


@pytest.mark.parametrize("kept", [0, 4, 30, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    whole = tmp_path / "x.safetensors"
    save_file(TENSORS, whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.safetensors is damaged"):
        SafetensorsReader(cut)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "tensor a takes 4 bytes"),
        ('{"a":{"dtype":"C99","shape":[1],"data_offsets":[0,4]}}', "tensor a is C99"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}', "tensor a ends at byte"),
        ('{"a":7}', "is damaged"),
        ("[1]", "is damaged"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: str, reason: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"1234")
    with pytest.raises(ValueError, match=reason):
        SafetensorsReader(path)
