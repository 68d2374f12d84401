"""A safetensors file written tensor by tensor, so that no more than one of them is in memory."""

import json
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

_ALIGNMENT_BYTES = 8
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class SafetensorsWriter:
    """Opens with the names, dtypes (as the format spells them) and shapes of all tensors, then takes them in order.

    Layout of the format: 8 bytes of header length, the header in JSON, the tensors' bytes end to end.
    """

    def __init__(self, path: Path, layout: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        """Write the header; raises ValueError for a dtype that is not among the known ones."""
        header: dict[str, object] = {}
        start = 0
        for name, (dtype, shape) in layout.items():
            if dtype not in DTYPES:
                raise ValueError(f"tensor {name} is {dtype}; expected one of {', '.join(DTYPES)}")
            end = start + torch.Size(shape).numel() * DTYPES[dtype].itemsize
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
            start = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % _ALIGNMENT_BYTES)
        self._expected = list(layout.items())
        self._written = 0
        self._file = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def write(self, name: str, tensor: Tensor) -> None:
        """Append the next tensor; raises ValueError where it is not the one that the header announces."""
        expected_name, (dtype, shape) = self._expected[self._written]
        if (name, tensor.dtype, tuple(tensor.shape)) != (expected_name, DTYPES[dtype], shape):
            raise ValueError(
                f"got tensor {name}, {tensor.dtype}{list(tensor.shape)}; expected {expected_name}, {dtype}{list(shape)}"
            )
        self._file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        self._written += 1

    def __enter__(self) -> "SafetensorsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._written != len(self._expected):
            raise ValueError(f"{self._written} of {len(self._expected)} announced tensors were written")
