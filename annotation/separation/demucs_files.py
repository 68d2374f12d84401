"""Demucs models as they are published: a `.th` package, or a bag of them named by a YAML file in one folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml

from levo.song.digest import digest_file, digest_json

_PACKAGE_SUFFIX, _BAG_SUFFIX = ".th", ".yaml"


@dataclass(frozen=True, slots=True)
class DemucsBag:
    """Models of equal sources, rate and channels; `weights[m][s]` is the share of model m in source s."""

    models: tuple[Any, ...]
    weights: tuple[tuple[float, ...], ...]
    digest: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the stems, in the order in which the models give them."""
        return tuple(self.models[0].sources)

    @property
    def sample_rate_hz(self) -> int:
        """The rate that the models hear."""
        return int(self.models[0].samplerate)

    @property
    def segment_s(self) -> float:
        """The longest piece that every model hears at once."""
        return min(float(model.segment) for model in self.models)


def load_bag(path: Path) -> DemucsBag:
    """A package, or the bag that a YAML file names (`models`, and perhaps `weights` and `segment`).

    Packages are pickles: nothing but tensors, plain values and the class HTDemucs is let out of one, and where its
    name ends with a checksum (`955717e8-8726e21a.th`) that must fit. Raises `ValueError` for anything else.
    """
    if path.suffix == _PACKAGE_SUFFIX:
        model = _load_package(path)
        return DemucsBag((model,), (_equal(model),), digest_file(path))
    if path.suffix != _BAG_SUFFIX:
        raise ValueError(f"{path} is no Demucs model; expected a {_PACKAGE_SUFFIX} package or a {_BAG_SUFFIX} bag")
    bag = _read_bag(path)
    files = [_package_of(path.parent, str(signature)) for signature in bag["models"]]
    models = tuple(_load_package(file) for file in files)
    weights = tuple(tuple(map(float, row)) for row in bag.get("weights") or map(_equal, models))
    _check(path, models, weights)
    if bag.get("segment") is not None:
        for model in models:
            model.segment = min(float(model.segment), float(bag["segment"]))
    return DemucsBag(models, weights, digest_json([digest_file(file) for file in (path, *files)]))


def _equal(model: Any) -> tuple[float, ...]:
    return (1.0,) * len(model.sources)


def _read_bag(path: Path) -> dict[str, Any]:
    try:
        bag = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file: {error}") from None
    if not isinstance(bag, dict) or not isinstance(bag.get("models"), list) or not bag["models"]:
        raise ValueError(f"{path} names no models; expected a list of signatures under `models`")
    return bag


def _package_of(folder: Path, signature: str) -> Path:
    found = sorted(file for file in folder.glob(f"*{_PACKAGE_SUFFIX}") if file.stem.split("-")[0] == signature)
    if len(found) != 1:
        raise ValueError(f"{folder} has {len(found)} packages of {signature!r}; expected {signature}-CHECKSUM.th")
    return found[0]


def _load_package(path: Path) -> Any:
    from demucs.htdemucs import HTDemucs
    from demucs.states import load_model

    _, has_checksum, checksum = path.stem.rpartition("-")
    if has_checksum and not digest_file(path).startswith(checksum):
        raise ValueError(f"{path} has the SHA-256 {digest_file(path)[:16]}...; its name says {checksum}")
    try:
        with torch.serialization.safe_globals([HTDemucs, Fraction]):
            package = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises what it likes
        raise ValueError(f"{path} cannot be read as a Demucs package of tensors and HTDemucs alone: {error}") from error
    if not isinstance(package, dict) or package.get("klass") is not HTDemucs:
        found = package.get("klass") if isinstance(package, dict) else type(package).__name__
        raise ValueError(f"{path} holds {found}; expected a package of HTDemucs")
    state = package["state"]
    if state.get("__quantized"):
        raise ValueError(f"{path} is quantized; expected full weights (quantized packages need diffq's own pickles)")
    model = load_model(package)
    return model.float().eval()


def _check(path: Path, models: Sequence[Any], weights: Sequence[Sequence[float]]) -> None:
    first = models[0]
    for model in models:
        for name in ("sources", "samplerate", "audio_channels"):
            if getattr(model, name) != getattr(first, name):
                raise ValueError(f"{path}: models differ in {name}: {getattr(first, name)}, {getattr(model, name)}")
    shape = [len(row) for row in weights]
    if shape != [len(first.sources)] * len(models):
        raise ValueError(f"{path}: weights are {shape} numbers; expected {len(first.sources)} for each model")
    if any(sum(row[source] for row in weights) <= 0 for source in range(len(first.sources))):
        raise ValueError(f"{path}: a source has no weight in any model; weights are {weights}")
