"""A safetensors file read and written tensor by tensor, so that no more than one of them is in memory.

The library's own reader maps the file: its pages count as the process's memory until something else wants them.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

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
Layout = dict[str, tuple[str, tuple[int, ...]]]
"""Dtype, as the format spells it, and shape of every tensor, by name."""


class SafetensorsWriter:
    """Opens with the names, dtypes (as the format spells them) and shapes of all tensors, then takes them in order.

    Layout of the format: 8 bytes of header length, the header in JSON, the tensors' bytes end to end.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
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


class SafetensorsReader:
    """The tensors of one file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Read the header; raises ValueError where it is not that of a whole safetensors file."""
        self._path = path
        self._file = path.open("rb")
        try:
            self._entries, self._start = self._header()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._file.close()
            raise ValueError(f"{path} is damaged: {error}") from error

    @property
    def layout(self) -> Layout:
        """Dtype, as the format spells it, and shape of every tensor, by name."""
        return {name: (str(entry["dtype"]), tuple(entry["shape"])) for name, entry in sorted(self._entries.items())}

    def tensor(self, name: str) -> Tensor:
        """One tensor, in memory of its own."""
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        buffer = bytearray(end - begin)
        self._file.seek(self._start + begin)
        if self._file.readinto(buffer) != end - begin:
            raise ValueError(f"{self._path} ends within tensor {name}")
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        return torch.frombuffer(buffer, dtype=dtype).view(shape) if buffer else torch.empty(shape, dtype=dtype)

    def __enter__(self) -> "SafetensorsReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _header(self) -> tuple[dict[str, Any], int]:
        size = self._path.stat().st_size
        length = int.from_bytes(self._file.read(8), "little")
        if not 0 < length <= size - 8:
            raise ValueError(f"its header would have {length} bytes, the file has {size}")
        entries = {name: entry for name, entry in json.loads(self._file.read(length)).items() if name != "__metadata__"}
        for name, entry in entries.items():
            begin, end = entry["data_offsets"]
            if entry["dtype"] not in DTYPES:
                raise ValueError(f"tensor {name} is {entry['dtype']}; expected one of {', '.join(DTYPES)}")
            if end - begin != torch.Size(entry["shape"]).numel() * DTYPES[entry["dtype"]].itemsize:
                raise ValueError(f"tensor {name} takes {end - begin} bytes, not what its shape {entry['shape']} does")
            if begin < 0 or 8 + length + end > size:
                raise ValueError(f"tensor {name} ends at byte {8 + length + end}, the file at {size}")
        return entries, 8 + length
