"""A model folder written back in a release's form: config.yaml, one checkpoint file, the tokenizer."""

import json
import mmap
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from levo.model.safetensors_files import DTYPES, SafetensorsWriter
from levo.model.store import TOKENIZER_FOLDER, WEIGHTS_FILE, load_config
from levo.release import config_file
from levo.release.errors import ReleaseError
from levo.release.importing import FACTS_FILE, RELEASE_FOLDER, REST_FILE, Fingerprint
from levo.release.tensors import PREFIX, TensorFacts
from levo.song.files import staged_folder

Progress = Callable[[int, int], None]


def export_release(model: Path, out: Path, *, like: Path | None = None, progress: Progress | None = None) -> str:
    """Write `model` to `out` as the release that `like` (or `model` itself) was imported from; its fingerprint.

    Tensors come in the release's order and dtypes (a model trained in float32 is rounded), those that the model never
    reads with the release's bits. An imported model that was not trained comes back bit by bit. Raises `ReleaseError`
    where `like` was not imported, or has another shape than `model`.
    """
    origin = like or model
    facts = _release_facts(origin)
    if load_config(model) != load_config(origin):
        raise ReleaseError(f"{model} has another shape than {origin}: {load_config(model)}")
    if out.exists():
        raise ReleaseError(f"{out} exists; choose a folder that does not")
    layout = {name: TensorFacts(one["dtype"], tuple(one["shape"])) for name, one in facts["tensors"].items()}
    reader = _Reader(model / WEIGHTS_FILE, origin / RELEASE_FOLDER / REST_FILE)
    with staged_folder(out) as staging:
        shutil.copy2(origin / RELEASE_FOLDER / config_file.CONFIG_FILE, staging / config_file.CONFIG_FILE)
        shutil.copytree(model / TOKENIZER_FOLDER, _inside(staging, facts["tokenizer_path"]))
        path = staging / Path(facts["weights_file"]).name
        write = _write_safetensors if path.suffix == ".safetensors" else _write_pickled
        return write(path, layout, reader, progress or (lambda _done, _all: None))


class _Reader:
    """Tensors by their released names; a file is mapped only while a tensor is read."""

    def __init__(self, model: Path, rest: Path) -> None:
        self._model = model
        self._rest = rest
        with safe_open(model, framework="pt") as file:
            self._own = set(file.keys())

    def tensor(self, name: str, facts: TensorFacts) -> Tensor:
        own = name.removeprefix(PREFIX)
        is_own = name.startswith(PREFIX) and own in self._own
        with safe_open(self._model if is_own else self._rest, framework="pt") as file:
            tensor: Tensor = file.get_tensor(own if is_own else name)
        if tuple(tensor.shape) != facts.shape:
            raise ReleaseError(f"tensor {own} has shape {list(tensor.shape)}; the release has {list(facts.shape)}")
        cast = tensor.to(DTYPES[facts.dtype], copy=True)
        if tensor.is_floating_point() and not bool(torch.isfinite(cast).all()) and bool(torch.isfinite(tensor).all()):
            raise ReleaseError(
                f"tensor {own} holds values that {facts.dtype} cannot: up to {float(tensor.abs().max()):g}"
            )
        return cast


def _write_safetensors(path: Path, layout: Mapping[str, TensorFacts], reader: _Reader, progress: Progress) -> str:
    fingerprint = Fingerprint()
    with SafetensorsWriter(path, {name: (one.dtype, one.shape) for name, one in layout.items()}) as file:
        for done, (name, facts) in enumerate(layout.items(), 1):
            tensor = reader.tensor(name, facts)
            fingerprint.add(name, facts, tensor)
            file.write(name, tensor)
            progress(done, len(layout))
    return fingerprint.value


def _write_pickled(path: Path, layout: Mapping[str, TensorFacts], reader: _Reader, progress: Progress) -> str:
    """First the file with room for every tensor, then the tensors into it, one in memory at a time."""
    empty = {name: torch.empty(one.shape, dtype=DTYPES[one.dtype]) for name, one in layout.items()}
    with torch.serialization.skip_data():
        torch.save(empty, path)
    del empty
    # The file is sparse so far; a disk that is too full for it must say so here, not by a signal at the first write.
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    fingerprint = Fingerprint()
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        places: dict[str, Tensor] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    for done, (name, facts) in enumerate(layout.items(), 1):
        tensor = reader.tensor(name, facts)
        fingerprint.add(name, facts, tensor)
        places[name].copy_(tensor)
        progress(done, len(layout))
    return fingerprint.value


def _release_facts(folder: Path) -> dict[str, Any]:
    path = folder / RELEASE_FOLDER / FACTS_FILE
    if not path.is_file():
        raise ReleaseError(f"{folder} was not imported from a release; name the imported model with --like")
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _inside(folder: Path, name: str) -> Path:
    """Where the tokenizer goes: at the release's own path for it where that lies inside, else `tokenizer`."""
    place = (folder / name).resolve()
    return place if place.is_relative_to(folder.resolve()) and place != folder.resolve() else folder / TOKENIZER_FOLDER
