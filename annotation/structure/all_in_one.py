"""All-In-One (T. Kim, J. Nam, arXiv 2307.16425) as structure labeller: its checkpoints, by the package `allin1`."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from jaxtyping import Float32
from torch import Tensor

from annotation.spectrum.log_filterbank import log_bands
from annotation.spectrum.usable import is_silent, require_usable
from annotation.structure import neighbourhood
from annotation.structure.protocol import SectionKind, structure_tag
from levo.song.arrays import Array
from levo.song.digest import digest_file, digest_json
from levo.song.timing import TimedSection
from levo.song.waveform import Waveform

SOURCES = ("bass", "drums", "other", "vocals")
"""In the order that the network expects."""
KINDS = {
    "start": SectionKind.SILENCE,
    "end": SectionKind.SILENCE,
    "intro": SectionKind.INTRO,
    "outro": SectionKind.OUTRO,
    "break": SectionKind.INST,
    "bridge": SectionKind.BRIDGE,
    "inst": SectionKind.INST,
    "solo": SectionKind.INST,
    "verse": SectionKind.VERSE,
    "chorus": SectionKind.CHORUS,
}
"""Harmonix's ten labels as SongPrep's seven kinds."""
_JOINED = frozenset({SectionKind.INST, SectionKind.SILENCE})
_SHORTEST_S = 0.1


class SourceSeparator(Protocol):
    """A separator of four sources, such as HTDemucs."""

    @property
    def digest(self) -> str:
        """Names weights and settings."""
        ...

    def sources(self, mixture: Waveform, names: list[str]) -> dict[str, Float32[Array, "channel sample"]]:
        """The named sources at the mixture's rate and length."""
        ...


@dataclass(frozen=True)
class AllInOneLabeller:
    """Sections by the mean of several checkpoints' logits over the bands of four separated sources.

    What All-In-One calls break, inst and solo is one `inst` here, start and end are silence; neighbours that become the
    same so are one section. It separates by itself: `vocal` is not needed.
    """

    models: Sequence[Any]
    separator: SourceSeparator
    weights_digest: str

    @classmethod
    def load(cls, path: Path, separator: SourceSeparator, device: str = "cpu") -> "AllInOneLabeller":
        """Read a checkpoint (`.pth`), or all of a folder's; raises `ValueError` for what is none."""
        files = sorted(path.glob("*.pth")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} holds no .pth; expected All-In-One's checkpoints")
        models = [_load(file).to(device).eval() for file in files]
        return cls(models, separator, digest_json([digest_file(file) for file in files]))

    @cached_property
    def digest(self) -> str:
        """Weights and separator."""
        parts = {"models": self.weights_digest, "separator": self.separator.digest}
        return digest_json({"structure": "all-in-one", "version": 1, **parts})

    def label(self, mixture: Waveform, vocal: Waveform | None) -> tuple[TimedSection, ...]:
        """Sections of a song."""
        require_usable(mixture, "mixture", _SHORTEST_S)
        if vocal is not None and vocal.num_samples != mixture.num_samples:
            raise ValueError(f"vocal has {vocal.num_samples} samples; expected the mixture's {mixture.num_samples}")
        duration_s = mixture.duration_s
        if is_silent(mixture.mono):
            return (TimedSection(structure_tag(SectionKind.SILENCE, duration_s), 0.0, duration_s),)
        logits = self._logits(self.bands(mixture))
        config = self.models[0].cfg
        segments = _package("allin1.postprocessing.functional").postprocess_functional_structure(logits, config)
        found = [(KINDS[segment.label], float(segment.start), float(segment.end)) for segment in segments]
        return _sections(found, duration_s)

    def bands(self, mixture: Waveform) -> Float32[Array, "source frame band"]:
        """What the network hears."""
        config = self.models[0].cfg
        rate = int(config.sample_rate)
        samples = mixture.samples
        if mixture.sample_rate_hz != rate:
            samples = soxr.resample(samples.T, mixture.sample_rate_hz, rate).T.astype(np.float32)
        separated = self.separator.sources(Waveform(np.ascontiguousarray(samples), rate), list(SOURCES))
        settings = (rate, int(config.num_bands), float(config.fmin), float(config.fmax))
        return np.stack([log_bands(separated[name].mean(axis=0), *settings) for name in SOURCES])

    @torch.inference_mode()
    def _logits(self, bands: Float32[Array, "source frame band"]) -> Any:
        device = next(iter(self.models[0].parameters())).device
        heard = torch.from_numpy(bands)[None].to(device)
        outputs = [model(heard) for model in self.models]
        return type(outputs[0])(**{name: _mean([vars(out)[name] for out in outputs]) for name in vars(outputs[0])})


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean(dim=0)


def _sections(found: Sequence[tuple[SectionKind, float, float]], duration_s: float) -> tuple[TimedSection, ...]:
    """Sections without gaps to the song's end; what was told apart and no longer is becomes one."""
    joined: list[tuple[SectionKind, float]] = []
    for kind, start_s, _ in found:
        if start_s < duration_s and not (joined and kind in _JOINED and joined[-1][0] is kind):
            joined.append((kind, start_s))
    ends = [start_s for _, start_s in joined[1:]] + [duration_s]
    return tuple(
        TimedSection(structure_tag(kind, end_s - start_s), start_s, end_s)
        for (kind, start_s), end_s in zip(joined, ends, strict=True)
    )


def _load(file: Path) -> Any:
    from omegaconf import OmegaConf

    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        model = _package("allin1.models.allinone").AllInOne(OmegaConf.create(checkpoint["config"]))
        model.load_state_dict(checkpoint["state_dict"])
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each file's reader raises what it likes
        raise ValueError(f"{file} cannot be read as a checkpoint of All-In-One: {error}") from error
    return model


@cache
def _package(module: str) -> ModuleType:
    """A module of `allin1`, without its package's own start, which asks for madmom and a network.

    Where natten is not installed, neighbourhood attention in plain PyTorch takes its place.
    """
    _bare_package("allin1")
    for name in ("allin1.models", "allin1.postprocessing"):
        _bare_package(name)
    with _natten():
        return importlib.import_module(module)


@cache
def _bare_package(name: str) -> None:
    """Register a package of which modules can be imported without its `__init__`."""
    if name in sys.modules:
        return
    found = importlib.util.find_spec(name)
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError("no module named 'allin1'; pip install --no-deps allin1", name="allin1")
    package = ModuleType(name)
    package.__path__, package.__spec__ = list(found.submodule_search_locations), found
    sys.modules[name] = package


@contextmanager
def _natten() -> Iterator[None]:
    if importlib.util.find_spec("natten") is not None:
        yield
        return
    sys.modules |= {"natten": ModuleType("natten"), "natten.functional": neighbourhood}
    try:
        yield
    finally:
        del sys.modules["natten"], sys.modules["natten.functional"]
