"""Models merged by linear interpolation of all their weights, theta = sum_i c_i theta_i, one tensor at a time."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from levo.model.safetensors_files import Layout, SafetensorsReader, SafetensorsWriter
from levo.model.store import CONFIG_FILE, TOKENIZER_FOLDER, WEIGHTS_FILE, load_config, model_digest
from levo.song.digest import digest_file
from levo.song.files import staged_folder, write_json

PROVENANCE_FILE = "merge.json"
_SUM_TOLERANCE = 1e-6


class MergeError(ValueError):
    """Models or coefficients that cannot be merged."""


@dataclass(frozen=True, slots=True)
class WeightedModel:
    """A model folder and its coefficient."""

    folder: Path
    coefficient: float


def merge_models(parts: Sequence[WeightedModel], out: Path, *, base: Path | None = None) -> str:
    """Write the mixture to `out` and return its digest; `out` appears whole or not at all.

    Without `base` the coefficients must sum to 1. With it they weigh differences from the base,
    theta = base + sum_i c_i (theta_i - base), and may sum to anything. Tensors that are equal in all models keep their
    bits; sums are taken in float64 and rounded once. Raises `MergeError` for models of different shape or tokenizer.
    """
    weighted = _with_base(parts, base)
    _check_alike([part.folder for part in weighted])
    first = weighted[0].folder
    with staged_folder(out) as staging:
        shutil.copy2(first / CONFIG_FILE, staging / CONFIG_FILE)
        shutil.copytree(first / TOKENIZER_FOLDER, staging / TOKENIZER_FOLDER)
        _merge_weights(weighted, staging / WEIGHTS_FILE)
        provenance = [{"digest": model_digest(part.folder), "coefficient": part.coefficient} for part in weighted]
        write_json(staging / PROVENANCE_FILE, {"parts": provenance})
    return model_digest(out)


def _with_base(parts: Sequence[WeightedModel], base: Path | None) -> list[WeightedModel]:
    total = sum(part.coefficient for part in parts)
    if base is not None:
        return [*parts, WeightedModel(base, 1.0 - total)]
    if not parts or abs(total - 1.0) > _SUM_TOLERANCE:
        raise MergeError(f"coefficients {[part.coefficient for part in parts]} sum to {total:.6g}; expected 1")
    return list(parts)


def _check_alike(folders: Sequence[Path]) -> None:
    first, *others = folders
    config, tokenizer = load_config(first), _file_digests(first / TOKENIZER_FOLDER)
    for folder in others:
        if load_config(folder) != config:
            raise MergeError(f"{folder} has another shape than {first}: {load_config(folder)}; expected {config}")
        if _file_digests(folder / TOKENIZER_FOLDER) != tokenizer:
            raise MergeError(f"{folder} has another tokenizer than {first}; their token ids do not mean the same")


def _file_digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()}


def _merge_weights(parts: Sequence[WeightedModel], path: Path) -> None:
    with ExitStack() as stack:
        files = [stack.enter_context(SafetensorsReader(part.folder / WEIGHTS_FILE)) for part in parts]
        layout = files[0].layout
        for part, file in zip(parts, files, strict=True):
            if file.layout != layout:
                difference = _difference(layout, file.layout)
                raise MergeError(f"{part.folder} has other tensors than {parts[0].folder}: {difference}")
        writer = stack.enter_context(SafetensorsWriter(path, layout))
        for name in layout:
            writer.write(name, _mixed([file.tensor(name) for file in files], parts))


def _difference(layout: Layout, other: Layout) -> str:
    names = sorted(name for name in layout.keys() | other.keys() if layout.get(name) != other.get(name))
    return f"{names[0]} is {other.get(names[0])}; expected {layout.get(names[0])} ({len(names)} differ)"


def _mixed(tensors: Sequence[Tensor], parts: Sequence[WeightedModel]) -> Tensor:
    first = tensors[0]
    if all(torch.equal(tensor, first) for tensor in tensors[1:]):
        return first
    total = torch.zeros(first.shape, dtype=torch.float64)
    for tensor, part in zip(tensors, parts, strict=True):
        total.add_(tensor.double(), alpha=part.coefficient)
    return total.to(first.dtype)
