"""The models of the corpus flow by the names that a command line gives them: embedded ones, or real ones' weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pipelines.corpus.embedded as embedded_backends
from annotation.recogniser.protocol import Recogniser
from annotation.separation.protocol import Separator
from pipelines.corpus.flow import CorpusModels
from pipelines.flow.model_source import ModelSource, model_source
from reward.named import MUSICALITY, load_named

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class BackendChoices:
    """Each `embedded`, or NAME:PATH of a real model's weights; `device` is where real ones run."""

    separator: str = EMBEDDED
    recogniser: str = EMBEDDED
    second_recogniser: str | None = None
    aligner: str | None = None
    labeller: str = EMBEDDED
    tagger: str = EMBEDDED
    musicality: str = EMBEDDED
    device: str = "cpu"
    gpus_per_model: float = 1.0
    """What Ray reserves for a model's worker on a CUDA device; below 1 models share it."""


def corpus_models(embedded: Path, choices: BackendChoices) -> CorpusModels:
    """Embedded models from a run's folder, and the real ones that are chosen in their place.

    Raises `ValueError` for a name that is none, or for weights that cannot be read; `ModuleNotFoundError` for a library
    that is not installed.
    """
    models = embedded_backends.embedded_models(embedded)
    place = _Place(choices.device, choices.gpus_per_model if choices.device.startswith("cuda") else 0.0)
    if choices.separator != EMBEDDED:
        models = replace(models, separator=place.source("separator", choices.separator), separation_rate_hz=None)
    for name in ("recogniser", "second_recogniser", "aligner", "labeller", "tagger"):
        choice = getattr(choices, name)
        if choice not in (EMBEDDED, None):
            chosen: dict[str, Any] = {name: place.source(name.removeprefix("second_"), choice)}
            models = replace(models, **chosen)
    if choices.second_recogniser == EMBEDDED:
        raise ValueError("second_recogniser is 'embedded'; expected NAME:PATH, or none for no second opinion")
    if choices.musicality != EMBEDDED:
        models = replace(models, judge=place.source("musicality", choices.musicality))
    return models


def load_recogniser(choice: str, device: str = "cpu") -> Recogniser:
    """A real recogniser by its name: `whisper:FILE`."""
    loaded: Recogniser = load_named("recogniser", choice, _LOADERS["recogniser"], device)
    return loaded


def load_separator(choice: str, device: str = "cpu") -> Separator:
    """A real separator by its name: `htdemucs:FILE`."""
    loaded: Separator = load_named("separator", choice, _LOADERS["separator"], device)
    return loaded


@dataclass(frozen=True, slots=True)
class _Place:
    device: str
    num_gpus: float

    def source(self, capability: str, choice: str) -> ModelSource[Any]:
        name, _, path = choice.partition(":")
        loaders = _LOADERS[capability]
        if name not in loaders or not path:
            known = ", ".join(f"{known}:PATH" for known in loaders)
            raise ValueError(f"{capability} is {choice!r}; expected {EMBEDDED}, {known}")
        return model_source(partial(loaders[name], Path(path).resolve(), self.device), self.num_gpus)


def _htdemucs(path: Path, device: str) -> Any:
    from annotation.separation.htdemucs import HtDemucsSeparator

    return HtDemucsSeparator.load(path, device=device)


def _whisper(path: Path, device: str) -> Any:
    from annotation.recogniser.whisper import WhisperRecogniser

    return WhisperRecogniser.load(path, device=device, half=device.startswith("cuda"))


def _wav2vec2(folder: Path, device: str) -> Any:
    from annotation.recogniser.wav2vec2 import Wav2Vec2Aligner

    return Wav2Vec2Aligner.load(folder, device)


def _pocketsphinx(language: Path, _device: str) -> Any:
    from annotation.recogniser.pocketsphinx_aligner import PocketSphinxAligner

    return PocketSphinxAligner(language.name)


def _all_in_one(folder: Path, device: str) -> Any:
    """All-In-One's checkpoints and, in the same folder, the HTDemucs that separates for it."""
    from annotation.separation.htdemucs import HtDemucsSeparator
    from annotation.structure.all_in_one import AllInOneLabeller

    packages = sorted([*folder.glob("*.yaml"), *folder.glob("*.th")], key=lambda file: file.suffix != ".yaml")
    if not packages:
        raise ValueError(f"{folder} holds no .th or .yaml of HTDemucs, whose sources All-In-One hears")
    return AllInOneLabeller.load(folder, HtDemucsSeparator.load(packages[0], device=device), device)


def _zero_shot(name: str, path: Path, device: str) -> Any:
    from annotation.tags.zero_shot import ZeroShotTagger
    from reward.named import load_similarity

    embedder: Any = load_similarity(f"{name}:{path}", device)
    return ZeroShotTagger(embedder)


_LOADERS: Mapping[str, Mapping[str, Callable[[Path, str], Any]]] = {
    "separator": {"htdemucs": _htdemucs},
    "recogniser": {"whisper": _whisper},
    "aligner": {"pocketsphinx": _pocketsphinx, "wav2vec2": _wav2vec2},
    "labeller": {"all-in-one": _all_in_one},
    "tagger": {name: partial(_zero_shot, name) for name in ("clap", "muq-mulan")},
    "musicality": MUSICALITY,
}
