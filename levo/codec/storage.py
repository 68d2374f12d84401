"""A fitted model on disk: a folder with `config.json` and `arrays.safetensors`, named by the digest of both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from levo.song.arrays import Array
from levo.song.digest import canonical_json, digest_arrays, digest_bytes
from levo.song.files import staged_folder

_CONFIG = "config.json"
_ARRAYS = "arrays.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """A model's settings (JSON values) and arrays by name."""

    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @property
    def digest(self) -> str:
        """SHA-256 over kind, settings, array names and array contents."""
        names = sorted(self.arrays)
        head = canonical_json({"kind": self.kind, "config": self.config, "arrays": names})
        return digest_bytes(head.encode(), digest_arrays(self.arrays[name] for name in names).encode())


def save_stored(model: StoredModel, folder: Path) -> None:
    """Write the folder in one move, in place of an earlier model of its kind.

    Raises `ValueError`, and leaves the folder alone, where it holds something else.
    """
    if folder.exists() and any(folder.iterdir()):
        _check_kind(_content_of(folder, model.kind)["kind"], model.kind, folder)
    with staged_folder(folder, replace=True) as staging:
        save_file(dict(model.arrays), staging / _ARRAYS)
        content = {"kind": model.kind, "digest": model.digest, "config": dict(model.config)}
        (staging / _CONFIG).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def load_stored(folder: Path, kind: str) -> StoredModel:
    """Read the folder; `ValueError` where it holds another kind of model or was changed after it was written."""
    content = _content_of(folder, kind)
    _check_kind(content["kind"], kind, folder)
    model = StoredModel(kind, content["config"], load_file(folder / _ARRAYS))
    if model.digest != content["digest"]:
        raise ValueError(f"{folder} has digest {model.digest[:12]}; its {_CONFIG} says {content['digest'][:12]}")
    return model


def _content_of(folder: Path, kind: str) -> dict[str, Any]:
    if not (folder / _CONFIG).is_file():
        raise ValueError(f"{folder} holds no {_CONFIG}; expected a saved {kind}")
    content: dict[str, Any] = json.loads((folder / _CONFIG).read_text())
    return content


def _check_kind(found: str, expected: str, folder: Path) -> None:
    if found != expected:
        raise ValueError(f"{folder} holds a {found}; expected a {expected}")
