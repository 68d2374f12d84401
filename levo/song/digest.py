"""Content digests: the names by which audio, tokens, models and configs are known."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from levo.song.arrays import Array

_CHUNK_BYTES = 1 << 20


def digest_bytes(*parts: bytes) -> str:
    """SHA-256 (hex) of byte strings, each preceded by its length so that joints cannot shift."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return digest_stream(file)


def digest_stream(file: IO[bytes]) -> str:
    """SHA-256 (hex) of the bytes that an open file has left."""
    state = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        state.update(chunk)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON; dataclasses count as their fields."""
    return digest_bytes(canonical_json(value).encode())


def digest_arrays(arrays: Iterable[Array]) -> str:
    """SHA-256 (hex) of arrays, their dtypes and shapes."""
    parts: list[bytes] = []
    for array in arrays:
        parts.append(f"{array.dtype.str}{array.shape}".encode())
        parts.append(np.ascontiguousarray(array).tobytes())
    return digest_bytes(*parts)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"cannot write {type(value).__name__} as canonical JSON: {value!r}")
