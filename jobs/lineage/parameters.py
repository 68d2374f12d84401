"""A run's configuration as flat parameters: dotted names, values short enough for every tracking server."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from jobs.tracking.protocol import Parameter
from jobs.tracking.redaction import redacted
from levo.song.digest import digest_bytes
from pipelines.loop.config import LoopConfig

# MLflow 3 takes 6,000 characters, servers in use take 500 or fewer.
LONGEST_VALUE = 250

_SECTIONS: dict[str, tuple[str, ...]] = {
    "render": ("world", "corpus"),
    "fit": ("judges",),
    "separation": ("corpus.num_separation_sample",),
    "prompts": ("prompts",),
    "initial": ("model", "code_size", "training.table_std", "training.phases"),
    "train": ("training",),
    "sample": ("sampling",),
    "pair": ("alignment.margins", "alignment.noise_multiple", "alignment.pairs_per_prompt"),
    "align": ("alignment", "training"),
    "merge": ("merge",),
    "search-sample": ("sampling", "merge"),
    "choose": ("merge",),
    "report-sample": ("sampling",),
}


def loop_parameters(config: LoopConfig) -> dict[str, Parameter]:
    """The whole configuration."""
    return flat_parameters(config)


def step_parameters(step: str, config: LoopConfig) -> dict[str, Parameter]:
    """The part of the configuration that a step works by, under the names that it has in the whole, and the seed."""
    sections = _SECTIONS.get(step, ())
    chosen = {
        name: value
        for name, value in flat_parameters(config).items()
        if any(name == section or name.startswith(f"{section}.") for section in sections)
    }
    return {"seed": config.seed, **chosen}


def flat_parameters(value: Any) -> dict[str, Parameter]:
    """Every leaf of nested records under its dotted path.

    Records in a list go by their `name` where they have one, else by their place. A list of plain values is one
    parameter, written as JSON. A value that is too long ends in the digest of the whole.
    """
    return {path.removeprefix("."): _short(leaf) for path, leaf in _leaves(value, "")}


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, list | tuple) and any(is_dataclass(entry) for entry in value):
        value = {getattr(entry, "name", place): entry for place, entry in enumerate(value)}
    if not isinstance(value, Mapping):
        return [(path, value)]
    return [leaf for name, entry in value.items() for leaf in _leaves(entry, f"{path}.{name}")]


def _short(value: Any) -> Parameter:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    # Before it is cut: half an address no longer shows that it holds a password.
    text = redacted(str(value) if isinstance(value, str | Path) else json.dumps(value))
    if len(text) <= LONGEST_VALUE:
        return text
    ending = f"... sha256 {digest_bytes(text.encode())[:16]}"
    return text[: LONGEST_VALUE - len(ending)] + ending
