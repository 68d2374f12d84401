"""What made a row: the digest of its input, and of every stage's code version, parameters and models before it."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from levo.song.columns import record_column
from levo.song.digest import digest_arrays, digest_json
from pipelines.flow.stage import Stage


def stage_identity(stage: Stage[Any, Any]) -> str:
    """SHA-256 (hex) of a stage's name, code version and parameters (model digests are parameters)."""
    return digest_json({"name": stage.name, "version": stage.version, "parameters": _parameters(stage)})


def _parameters(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_parameters(item) for item in value]
    if isinstance(getattr(value, "digest", None), str) and not is_dataclass(value):
        return value.digest
    if not is_dataclass(value):
        return value
    kept = [field.name for field in fields(value) if field.metadata.get("identity", True)]
    return {name: _parameters(getattr(value, name)) for name in kept}


def chain_identities(stages: Sequence[Stage[Any, Any]]) -> tuple[str, ...]:
    """For each stage, the digest of itself and all stages before it."""
    chain: list[str] = []
    for stage in stages:
        chain.append(digest_json({"before": chain[-1:], "stage": stage_identity(stage)}))
    return tuple(chain)


def record_digest(record: Any) -> str:
    """SHA-256 (hex) of a record's fields, arrays included."""
    return digest_json({type(record).__name__: _hashable(record_column(type(record)).plain(record))})


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hashable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hashable(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return digest_arrays([value]) if isinstance(value, np.ndarray) else value
