"""A head of several axes over a song's feature frames, as SongEval (arXiv 2505.10793) and SongBench describe theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.digest import digest_json
from levo.song.scores import Metric, Score, missing_score
from levo.song.waveform import Waveform

_KIND = "aesthetics_head"


class FeatureExtractor(Protocol):
    """Songs to frames of features, such as the sixth hidden state of MuQ over a whole song."""

    @property
    def digest(self) -> str:
        """Names the weights."""
        ...

    def features(self, song: Waveform) -> Float32[Tensor, "frame feature"]:
        """All frames of a song; raises `ValueError`, with the reason, for one that cannot be heard."""
        ...


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Sizes and axes; scores lie between `lowest` and `highest` (1 ... 5 for SongEval, 1 ... 10 for SongBench)."""

    num_features: int = 1024
    hidden_size: int = 4096
    num_layers: int = 4
    num_heads: int = 8
    axes: tuple[str, ...] = ("COH", "MUS", "MEM", "CLA", "NAT")
    lowest: float = 1.0
    highest: float = 5.0

    def __post_init__(self) -> None:
        if not self.axes or len(set(self.axes)) != len(self.axes):
            raise ValueError(f"axes are {self.axes}; expected one or more, each once")
        if self.num_features % self.num_heads:
            raise ValueError(f"{self.num_features} features in {self.num_heads} heads; expected a multiple")
        if self.lowest >= self.highest:
            raise ValueError(f"scores from {self.lowest} to {self.highest}; expected the lower one first")


class AestheticsHead(nn.Module):
    """Frames through a feed-forward layer and self-attention, pooled both ways: attention's mean, the layer's maximum.

    score = middle + half range x tanh(linear(pooled)), so that none leaves the scale.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.feed_forward = nn.Sequential(
            nn.Linear(config.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.num_features),
        )
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(config.num_features, config.num_heads, batch_first=True)
            for _ in range(config.num_layers)
        )
        self.scores = nn.Linear(2 * config.num_features, len(config.axes))

    def forward(self, features: Float32[Tensor, "song frame feature"]) -> Float32[Tensor, "song axis"]:
        """Scores of songs of equal length."""
        widened = self.feed_forward(features)
        attended = widened
        for layer in self.attention:
            attended = layer(attended, attended, attended, need_weights=False)[0]
        pooled = torch.cat([attended.mean(dim=1), widened.amax(dim=1)], dim=-1)
        middle = (self.config.lowest + self.config.highest) / 2
        half_range = (self.config.highest - self.config.lowest) / 2
        return middle + half_range * torch.tanh(self.scores(pooled))


@dataclass(frozen=True)
class HeadAesthetics:
    """A judge of aesthetics: a head and the extractor whose features it was fitted on."""

    head: AestheticsHead
    extractor: FeatureExtractor

    @cached_property
    def digest(self) -> str:
        """Head and extractor."""
        return digest_json({"aesthetics": "head", "head": self._stored().digest, "features": self.extractor.digest})

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Points of the head's scale."""
        return {axis: Metric(f"aesthetics_{axis.lower()}", "higher", "points", "held_out") for axis in self._axes}

    def judge(self, songs: Sequence[Waveform]) -> list[Mapping[str, Score]]:
        """One score an axis for each song, heard as a whole."""
        return [self._judge(song) for song in songs]

    def save(self, folder: Path) -> None:
        """Write the head as a folder that names its extractor."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path, extractor: FeatureExtractor, device: str = "cpu") -> "HeadAesthetics":
        """Read what `save` wrote; `ValueError` where it was fitted on other features."""
        stored = load_stored(folder, _KIND)
        if stored.config["features"] != extractor.digest:
            raise ValueError(
                f"{folder} was fitted on features of {stored.config['features'][:12]}; "
                f"these are of {extractor.digest[:12]}"
            )
        config = HeadConfig(**stored.config["head"] | {"axes": tuple(stored.config["head"]["axes"])})
        head = AestheticsHead(config)
        head.load_state_dict({name: torch.from_numpy(array) for name, array in stored.arrays.items()})
        return cls(head.to(device).eval(), extractor)

    @property
    def _axes(self) -> tuple[str, ...]:
        return self.head.config.axes

    @torch.inference_mode()
    def _judge(self, song: Waveform) -> Mapping[str, Score]:
        try:
            features = self.extractor.features(song)
        except ValueError as error:
            return dict.fromkeys(self._axes, missing_score(str(error)))
        scores = self.head(features[None].to(self.head.scores.weight.device))[0].float().cpu().tolist()
        return {axis: Score(score) for axis, score in zip(self._axes, scores, strict=True)}

    def _stored(self) -> StoredModel:
        arrays = {name: value.detach().cpu().numpy() for name, value in self.head.state_dict().items()}
        return StoredModel(_KIND, {"head": asdict(self.head.config), "features": self.extractor.digest}, arrays)
