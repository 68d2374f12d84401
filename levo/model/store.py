"""A model on disk: config.json, model.safetensors and tokenizer/ in one folder, written whole or not at all."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from levo.model.config import LeLMConfig
from levo.model.construction import empty_lelm
from levo.model.lelm import LeLM
from levo.model.tokenizer import ConditionEncoder
from levo.song.digest import digest_bytes, digest_file
from levo.song.files import staged_folder

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FOLDER = "tokenizer"


class ModelFolderError(ValueError):
    """A folder that holds no model of ours, or one of another shape."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to run, the encoder of its conditions, and the digest of config, weights and tokenizer."""

    model: LeLM
    encoder: ConditionEncoder
    digest: str


def save_model(model: LeLM, tokenizer_folder: Path, folder: Path) -> str:
    """Write the model and return its digest; the folder appears whole, or an existing one stays as it was."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return save_weights(weights, model.config, tokenizer_folder, folder)


def save_weights(weights: Mapping[str, Tensor], config: LeLMConfig, tokenizer_folder: Path, folder: Path) -> str:
    """The same from a state dict."""
    with staged_folder(folder, replace=True) as staging:
        (staging / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1, sort_keys=True) + "\n")
        save_file(dict(weights), staging / WEIGHTS_FILE)
        shutil.copytree(tokenizer_folder, staging / TOKENIZER_FOLDER)
        return model_digest(staging)


def load_model(folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> LoadedModel:
    """Read a model folder; raises `ModelFolderError` with the tensor's name where a shape does not fit."""
    config = load_config(folder)
    weights = _read_weights(folder / WEIGHTS_FILE)
    model = empty_lelm(config)
    check_shapes(weights, model, folder)
    model.load_state_dict(weights, strict=True, assign=True)
    encoder = ConditionEncoder(folder / TOKENIZER_FOLDER, config)
    return LoadedModel(model.to(device=device, dtype=dtype).eval(), encoder, model_digest(folder))


def load_config(folder: Path) -> LeLMConfig:
    """The config of a model folder."""
    path = folder / CONFIG_FILE
    try:
        return LeLMConfig(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise ModelFolderError(f"{folder} holds no model: {CONFIG_FILE} is missing") from None
    except (TypeError, json.JSONDecodeError) as error:
        raise ModelFolderError(f"{path} is no LeLM config: {error}") from error


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of config, weights and tokenizer files."""
    paths = [folder / CONFIG_FILE, folder / WEIGHTS_FILE, *(folder / TOKENIZER_FOLDER).rglob("*")]
    files = sorted((path.relative_to(folder).as_posix(), path) for path in paths if path.is_file())
    return digest_bytes(*(f"{name}\n{digest_file(path)}".encode() for name, path in files))


def check_shapes(weights: Mapping[str, Tensor], model: LeLM, source: Path) -> None:
    """Compare a state dict with the model's, tensor by tensor."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or unknown:
        raise ModelFolderError(
            f"{source}: {len(missing)} tensors missing ({', '.join(missing[:3]) or 'none'}), "
            f"{len(unknown)} unknown ({', '.join(unknown[:3]) or 'none'})"
        )
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise ModelFolderError(
                f"{source}: tensor {name} has shape {list(weights[name].shape)}; the config asks for {list(shape)}"
            )


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelFolderError(f"{path.parent} holds no model: {path.name} is missing") from None
    except SafetensorError as error:
        raise ModelFolderError(f"{path} is damaged: {error}") from error
