"""MuQ (H. Zhu et al., arXiv 2501.01108): a folder of the published format, by the package `muq`, without torchaudio."""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from levo.codec.intake import mono_at_rate
from levo.song.digest import digest_file, digest_json
from levo.song.waveform import Waveform
from reward.audible import why_unheard

SAMPLE_RATE_HZ = 24_000
SHORTEST_SONG_S = 1.0
SONG_EVAL_LAYER = 6
_LONGEST_REASON = 300
_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OLD_HALVES = ("weight_g", "weight_v")
_NEW_HALVES = ("parametrizations.weight.original0", "parametrizations.weight.original1")
_HALVES = (*zip(_OLD_HALVES, _NEW_HALVES, strict=True), *zip(_NEW_HALVES, _OLD_HALVES, strict=True))


@dataclass(frozen=True)
class MuqEncoder:
    """A hidden state of MuQ over a whole song, 25 frames a second; in single precision, since half gives no numbers."""

    model: Any
    weights_digest: str
    layer: int = SONG_EVAL_LAYER

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", layer: int = SONG_EVAL_LAYER) -> "MuqEncoder":
        """Read `config.json` and the weights; raises `ValueError` for what is no such folder or has no such layer."""
        model = load_hub_model(folder, "MuQ", lambda: muq_model(read_config(folder, "MuQ")))
        depth = int(model.config.encoder_depth)
        if not 0 <= layer <= depth:
            raise ValueError(f"layer is {layer}; {folder} has the hidden states 0 to {depth}")
        return cls(model.to(device).eval(), folder_digest(folder), layer)

    @cached_property
    def digest(self) -> str:
        """The weights, their config, and the layer."""
        return digest_json({"features": "muq", "version": 1, "model": self.weights_digest, "layer": self.layer})

    @torch.inference_mode()
    def features(self, song: Waveform) -> Float32[Tensor, "frame feature"]:
        """All frames of a song; raises `ValueError`, with the reason, for one that cannot be heard."""
        reason = why_unheard(song, SHORTEST_SONG_S)
        if reason is not None:
            raise ValueError(f"a song that cannot be heard: {reason}")
        samples = torch.tensor(mono_at_rate(song, SAMPLE_RATE_HZ, "song"))
        device = next(iter(self.model.parameters())).device
        hidden: Tensor = self.model(samples[None].to(device), output_hidden_states=True).hidden_states[self.layer][0]
        return hidden.float().cpu()


def muq_model(config: Mapping[str, Any]) -> Any:
    """A MuQ of this config, at random; where it names a file of its training's target it is not read."""
    return muq_package("muq.muq.muq").MuQ(dict(config) | {"rvq_ckpt_path": None})


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """A model folder's config; raises `ValueError` where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / _CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} has no readable {_CONFIG}; expected a {kind} folder: {error}") from error
    return found


def folder_beside(folder: Path, name: str) -> Path:
    """The folder of a model that another one names, in it or beside it; raises `ValueError` where there is none."""
    last = name.rsplit("/", 1)[-1]
    for place in (folder / last, folder.parent / last):
        if place.is_dir():
            return place
    raise ValueError(f"{folder} needs {name!r}; expected its folder {last} in it or beside it")


def load_hub_model(folder: Path, kind: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, with the folder's weights, all of them; raises `ValueError` for anything else."""
    weights = _weights_file(folder, kind)
    try:
        model = make()
        model.load_state_dict(_renamed(_read_weights(weights), set(model.state_dict())), strict=True)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each file's reader raises what it likes
        told = " ".join(str(error).split())[:_LONGEST_REASON]
        raise ValueError(f"{folder} cannot be read as a {kind} model: {told}") from error
    return model


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) of a model folder's config and weights."""
    return digest_json({path.name: digest_file(path) for path in (folder / _CONFIG, _weights_file(folder, "model"))})


def muq_package(module: str = "muq") -> ModuleType:
    """A module of the package, imported without what it asks for and never calls here.

    It imports torchaudio, whose builds need CUDA and break transformers without it, for two formulas, and x_clip, with
    torchvision, for a default that no published model uses. Raises `ModuleNotFoundError` where muq is not installed.
    """
    with _stand_ins():
        found = importlib.import_module(module)
        _adapt(importlib.import_module("muq.muq.models.muq_model"), importlib.import_module("muq.muq.muq"))
    return found


@cache
def _adapt(models: ModuleType, top: ModuleType) -> None:
    """Make the package, written for transformers 4, do the same with transformers 5.

    There a conformer wants a config of its own kind, and an encoder by itself gives no hidden states: here they are the
    inputs of its layers and its normed output, as they were.
    """
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

    class Encoder(Wav2Vec2ConformerEncoder):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object) -> Any:
            states: list[Tensor] = []
            hooks = [layer.register_forward_pre_hook(_keep_input(states), with_kwargs=True) for layer in self.layers]
            try:
                last = super().forward(hidden_states, attention_mask=attention_mask).last_hidden_state
            finally:
                for hook in hooks:
                    hook.remove()
            return {"last_hidden_state": last, "hidden_states": (*states, last)}

    class Model(models.MuQModel):  # type: ignore[misc, name-defined]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.conformer.__class__ = Encoder

    vars(models)["EasyDict"] = lambda fields: Wav2Vec2ConformerConfig(**fields)
    vars(top)["MuQModel"] = Model


def _keep_input(states: list[Tensor]) -> Callable[..., None]:
    def hook(_layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        states.append(inputs[0] if inputs else named["hidden_states"])

    return hook


def _weights_file(folder: Path, kind: str) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"{folder} has neither {' nor '.join(_WEIGHTS)}; expected a {kind} folder")


def _read_weights(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


def _renamed(weights: Mapping[str, Tensor], wanted: Set[str]) -> dict[str, Tensor]:
    """Weights by the names of this version of PyTorch: the two halves of a normed weight have had others."""
    found = {}
    for name, value in weights.items():
        names = [name] + [name.replace(*pair) for pair in _HALVES if pair[0] in name]
        found[next((one for one in names if one in wanted), name)] = value
    return found


class MelSpectrogram(nn.Module):
    """Power in mel bands, as torchaudio's of the same name with its defaults: Hann window, reflected ends."""

    window: Tensor
    weights: Tensor

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> None:
        super().__init__()
        from librosa.filters import mel

        self.hop_samples = hop_length
        self.register_buffer("window", torch.hann_window(n_fft))
        self.register_buffer(
            "weights", torch.tensor(mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None).T.copy())
        )

    def forward(self, samples: Float32[Tensor, "song sample"]) -> Float32[Tensor, "song band frame"]:
        """One frame a hop, the first centred on the first sample."""
        n_fft = len(self.window)
        spectrum = torch.stft(
            samples, n_fft, self.hop_samples, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return (power.transpose(-1, -2) @ self.weights).transpose(-1, -2)


class AmplitudeToDB(nn.Module):
    """Decibels of a power, not below -100, as torchaudio's of the same name with its defaults."""

    def forward(self, power: Float32[Tensor, "*any"]) -> Float32[Tensor, "*any"]:
        """10 log10 of the power."""
        return 10 * power.clamp(min=1e-10).log10()


class _Unused:
    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError("this part of muq needs torchaudio itself, which no published model of it uses")


@contextmanager
def _stand_ins() -> Iterator[None]:
    made = dict(_made_modules())
    if made:
        # Transformers looks for torchaudio by its specification, which a stand-in lacks: it has to have looked before.
        _import_transformers()
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)


def _made_modules() -> Iterator[tuple[str, ModuleType]]:
    if importlib.util.find_spec("torchaudio") is None:
        audio, transforms = ModuleType("torchaudio"), ModuleType("torchaudio.transforms")
        unused = ("Spectrogram", "TimeStretch", "FrequencyMasking", "TimeMasking")
        vars(transforms).update(
            {"MelSpectrogram": MelSpectrogram, "AmplitudeToDB": AmplitudeToDB, **dict.fromkeys(unused, _Unused)}
        )
        vars(audio)["transforms"] = transforms
        yield from (("torchaudio", audio), ("torchaudio.transforms", transforms))
    if importlib.util.find_spec("x_clip") is None:
        clip, tokenizer = ModuleType("x_clip"), ModuleType("x_clip.tokenizer")
        vars(tokenizer)["tokenizer"] = SimpleNamespace(vocab_size=0)
        yield from (("x_clip", clip), ("x_clip.tokenizer", tokenizer))


def _import_transformers() -> None:
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, Wav2Vec2FeatureExtractor, XLMRobertaModel
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

    del AutoModel, AutoModelForCausalLM, AutoTokenizer, Wav2Vec2FeatureExtractor, XLMRobertaModel
    del Wav2Vec2ConformerEncoder
