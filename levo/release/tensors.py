"""A release's tensors, read one at a time: from safetensors files, or a PyTorch file whose pickle is not run."""

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from levo.release.errors import ReleaseError

_DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
PREFIX = "audiolm."
_PART = re.compile(r"-\d{5}-of-\d{5}$")
_NESTED_UNDER = ("state_dict", "model")


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """A tensor's dtype, as the safetensors format spells it, and its shape."""

    dtype: str
    shape: tuple[int, ...]


class TensorSource(Protocol):
    """The tensors of an opened checkpoint, in the order in which it lists them."""

    @property
    def facts(self) -> Mapping[str, TensorFacts]:
        """What each tensor is, by name."""
        ...

    def tensor(self, name: str) -> Tensor:
        """One tensor, read now."""
        ...


def find_weights(folder: Path, weights: Path | None = None) -> list[Path]:
    """The checkpoint's files: those named, or `model.pt`, or the `*.safetensors` that hold a song model's tensors.

    Several of the latter are one checkpoint where they are named as its parts (`-00001-of-00003`). Raises
    `ReleaseError` where there is none, or more than one checkpoint.
    """
    if weights is not None:
        if not weights.is_file():
            raise ReleaseError(f"{weights} is no file; expected model.pt or a safetensors file")
        return [weights]
    pickled = sorted([*folder.glob("*.pt"), *folder.glob("*.pth"), *folder.glob("*.bin")])
    plain = [path for path in sorted(folder.glob("*.safetensors")) if _holds_song_model(path)]
    is_one = len(plain) == 1 or all(_PART.search(path.stem) for path in plain)
    if len(pickled) + bool(plain) != 1 or not is_one:
        found = ", ".join(path.name for path in (*pickled, *plain)) or "none"
        raise ReleaseError(f"{folder} holds {found}; expected one model.pt, or safetensors files; or name one file")
    return pickled or plain


def _holds_song_model(path: Path) -> bool:
    with _mapped(path) as file:
        return any(name.startswith(PREFIX) for name in file.keys())  # noqa: SIM118 - a safetensors file is no mapping


@contextmanager
def opened_tensors(paths: list[Path]) -> Iterator[TensorSource]:
    """Open a checkpoint's files; raises `ReleaseError` for one that is truncated or holds more than tensors."""
    if paths[0].suffix == ".safetensors":
        yield _SafetensorsSource(paths)
    else:
        yield _PickledSource(paths[0])


class _SafetensorsSource:
    """Several files as one; each is mapped only while a tensor is read, so that mapped pages do not add up."""

    def __init__(self, paths: list[Path]) -> None:
        self.facts: dict[str, TensorFacts] = {}
        self._files: dict[str, Path] = {}
        for path in paths:
            with _mapped(path) as file:
                for name in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
                    part = file.get_slice(name)
                    self.facts[name] = TensorFacts(str(part.get_dtype()), tuple(part.get_shape()))
                    if name in self._files:
                        raise ReleaseError(f"tensor {name} is in {self._files[name].name} and in {path.name}")
                    self._files[name] = path

    def tensor(self, name: str) -> Tensor:
        with _mapped(self._files[name]) as file:
            tensor: Tensor = file.get_tensor(name).clone()
            return tensor


class _PickledSource:
    """PyTorch's own format: the file is mapped, and its pickle is read by a reader that makes tensors alone."""

    def __init__(self, path: Path) -> None:
        self._tensors = _state_dict(_load(path), path)
        self.facts = {name: _facts(name, tensor) for name, tensor in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name].contiguous()


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ReleaseError(f"{path} is damaged or no safetensors file: {error}") from None


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReleaseError(f"{path} holds more than tensors, or is no PyTorch file: {_first_line(error)}") from None
    except (RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ReleaseError(f"{path} is truncated, or no PyTorch file: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name, at the top or under a common name for them."""
    candidates = [content, *(content[name] for name in _NESTED_UNDER if isinstance(content, dict) and name in content)]
    for candidate in candidates:
        if isinstance(candidate, Mapping):
            tensors = {str(name): one for name, one in candidate.items() if isinstance(one, Tensor)}
            if tensors:
                return tensors
    raise ReleaseError(f"{path} holds no tensors by name; expected a state dict")


def _facts(name: str, tensor: Tensor) -> TensorFacts:
    if tensor.dtype not in _DTYPE_NAMES:
        raise ReleaseError(f"tensor {name} is {tensor.dtype}; expected one of {', '.join(map(str, _DTYPE_NAMES))}")
    return TensorFacts(_DTYPE_NAMES[tensor.dtype], tuple(tensor.shape))
