"""Audiobox Aesthetics (A. Tjandra et al., arXiv 2502.05139): the published weights, through the package's own model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn import functional

from levo.codec.intake import mono_at_rate
from levo.song.digest import digest_file, digest_json
from levo.song.scores import Metric, Score, missing_score
from levo.song.waveform import Waveform
from reward.aesthetics.axes import AUDIOBOX_AXES
from reward.audible import why_unheard

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 10
SHORTEST_SONG_S = 1.0
_SETTINGS = (
    "proj_num_layer",
    "proj_ln",
    "proj_act_fn",
    "proj_dropout",
    "nth_layer",
    "use_weighted_layer_sum",
    "normalize_embed",
    "output_dim",
)


@dataclass(frozen=True)
class AudioboxAesthetics:
    """CE, CU, PC and PQ from about 1 to 10: means over windows of 10 s, each counted by how much of it is song."""

    model: Any
    weights_digest: str
    batch_windows: int = 4

    @classmethod
    def load(
        cls, path: Path, device: str = "cpu", precision: str | None = None, batch_windows: int = 4
    ) -> "AudioboxAesthetics":
        """Read `checkpoint.pt`, or a folder with `config.json` and `model.safetensors`; `ValueError` for anything else.

        `precision` is "32", "16" or "bf16" (by autocast); without it the weights' own.
        """
        if batch_windows < 1:
            raise ValueError(f"batch_windows is {batch_windows}; expected 1 or more")
        try:
            model = _from_folder(path, precision) if path.is_dir() else _from_checkpoint(path, precision)
        except Exception as error:  # each file's reader raises what it likes
            raise ValueError(f"{path} cannot be read as weights of Audiobox Aesthetics: {error}") from error
        missing = sorted(set(AUDIOBOX_AXES) - set(model.target_transform or {}))
        if missing:
            raise ValueError(f"{path} has no mean and deviation of {', '.join(missing)}; its scores would have no unit")
        weights = path / "model.safetensors" if path.is_dir() else path
        return cls(model.to(device).eval(), digest_file(weights), batch_windows)

    @cached_property
    def digest(self) -> str:
        """The weights and their precision."""
        settings = {"weights": self.weights_digest, "precision": str(self.model.precision)}
        return digest_json({"aesthetics": "audiobox", "version": 1, **settings})

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Points of the raters' scale."""
        return {axis: Metric(f"audiobox_{axis.lower()}", "higher", "points", "held_out") for axis in AUDIOBOX_AXES}

    def judge(self, songs: Sequence[Waveform]) -> list[Mapping[str, Score]]:
        """One score an axis for each song."""
        return [self._judge(song) for song in songs]

    def windows(self, song: Waveform) -> Mapping[str, Float32[Tensor, " window"]]:
        """Each window's points by axis; raises `ValueError` for a song that cannot be heard."""
        reason = why_unheard(song, SHORTEST_SONG_S)
        if reason is not None:
            raise ValueError(f"a song that cannot be judged: {reason}")
        return self._points(*_windows(song))

    def _judge(self, song: Waveform) -> Mapping[str, Score]:
        reason = why_unheard(song, SHORTEST_SONG_S)
        if reason is not None:
            return dict.fromkeys(AUDIOBOX_AXES, missing_score(reason))
        windows, masks = _windows(song)
        shares = masks.squeeze(1).float().mean(dim=1)
        points = self._points(windows, masks)
        return {axis: Score(float((points[axis] * shares).sum() / shares.sum())) for axis in AUDIOBOX_AXES}

    @torch.inference_mode()
    def _points(
        self, windows: Float32[Tensor, "window 1 sample"], masks: Bool[Tensor, "window 1 sample"]
    ) -> Mapping[str, Float32[Tensor, " window"]]:
        device = next(iter(self.model.parameters())).device
        found: list[Mapping[str, Tensor]] = []
        for start in range(0, len(windows), self.batch_windows):
            part = slice(start, start + self.batch_windows)
            found.append(self.model({"wav": windows[part].to(device), "mask": masks[part].to(device)}))
        scales = self.model.target_transform
        return {
            axis: torch.cat([one[axis] for one in found]).float().cpu() * scales[axis]["std"] + scales[axis]["mean"]
            for axis in AUDIOBOX_AXES
        }


def _from_folder(folder: Path, precision: str | None) -> Any:
    from audiobox_aesthetics.model.aes import AesMultiOutput

    settings = {} if precision is None else {"precision": precision}
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no {name} in {folder}")
    return AesMultiOutput.from_pretrained(str(folder), local_files_only=True, strict=True, **settings)


def _from_checkpoint(file: Path, precision: str | None) -> Any:
    from audiobox_aesthetics.model.aes import AesMultiOutput

    content = torch.load(file, map_location="cpu", weights_only=True)
    config = content["model_cfg"]
    settings = {name: config[name] for name in _SETTINGS}
    settings["precision"] = config["precision"] if precision is None else precision
    model = AesMultiOutput(**settings, target_transform=content["target_transform"])
    model.load_state_dict({re.sub("^model.", "", name): value for name, value in content["state_dict"].items()})
    return model


def _windows(song: Waveform) -> tuple[Float32[Tensor, "window 1 sample"], Bool[Tensor, "window 1 sample"]]:
    """Windows one after the other, the last one filled up with silence, and which samples are song."""
    length = WINDOW_S * SAMPLE_RATE_HZ
    samples = torch.from_numpy(np.array(mono_at_rate(song, SAMPLE_RATE_HZ, "song"), dtype=np.float32))
    filled = functional.pad(samples, (0, -len(samples) % length)).view(-1, 1, length)
    is_song = (torch.arange(filled.numel()) < len(samples)).view(-1, 1, length)
    return filled, is_song
