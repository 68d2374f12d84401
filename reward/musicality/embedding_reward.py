"""A musicality reward over any embedding of songs, fitted on people's preferences (Bradley and Terry 1952)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.scores import Score, missing_score
from levo.song.waveform import Waveform

_KIND = "embedding_reward"


class SongEmbedder(Protocol):
    """Songs to vectors, such as a CLAP model."""

    @property
    def digest(self) -> str:
        """Names the weights."""
        ...

    def embed_song(self, song: Waveform) -> Float32[Tensor, " dimension"]:
        """A song's vector; raises `ValueError`, with the reason, for one that cannot be heard."""
        ...


@dataclass(frozen=True, slots=True)
class RewardFit:
    """Size of the head (0 is a linear one), and how it is fitted."""

    hidden_size: int = 64
    num_steps: int = 500
    batch_pairs: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-1
    min_agreement: float = 0.6
    seed: int = 0


class RewardNetwork(nn.Module):
    """Vectors to Bradley-Terry logits: a song beats another with probability sigmoid(its logit - the other's)."""

    def __init__(self, num_dimensions: int, hidden_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(num_dimensions, hidden_size or 1)]
        if hidden_size:
            layers += [nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden_size, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, vectors: Float32[Tensor, "song dimension"]) -> Float32[Tensor, " song"]:
        """One logit a song."""
        scores: Float32[Tensor, " song"] = self.layers(vectors).squeeze(-1)
        return scores


@dataclass(frozen=True, eq=False)
class RewardHead:
    """Vectors to logits, in standard deviations of the songs that it was fitted on, whose mean is 0."""

    fit: RewardFit
    mean: Float32[Array, " dimension"]
    deviation: Float32[Array, " dimension"]
    head: nn.Module
    embedder_digest: str
    zero: float = 0.0
    unit: float = 1.0

    @torch.inference_mode()
    def scores(self, vectors: Float[Array, "song dimension"]) -> Float32[Array, " song"]:
        """A score a song."""
        heard = torch.from_numpy(((vectors - self.mean) / self.deviation).astype(np.float32))
        scores: Float32[Array, " song"] = (self.head(heard).numpy() - self.zero) / self.unit
        return scores

    def stored(self) -> StoredModel:
        """As it lies on disk."""
        arrays = {f"head.{name}": value.detach().numpy() for name, value in self.head.state_dict().items()}
        config = {"fit": asdict(self.fit), "embedder": self.embedder_digest, "zero": self.zero, "unit": self.unit}
        return StoredModel(_KIND, config, arrays | {"mean": self.mean, "deviation": self.deviation})


@dataclass(frozen=True)
class EmbeddingReward:
    """A `MusicalityReward`: a head and the embedder that it was fitted on."""

    head: RewardHead
    embedder: SongEmbedder

    @cached_property
    def digest(self) -> str:
        """Head and embedder."""
        return digest_json({"reward": self.head.stored().digest, "embedder": self.embedder.digest})

    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        """One score a song."""
        return [self._score(song) for song in songs]

    def save(self, folder: Path) -> None:
        """Write the head as a folder that names its embedder."""
        save_stored(self.head.stored(), folder)

    @classmethod
    def load(cls, folder: Path, embedder: SongEmbedder) -> "EmbeddingReward":
        """Read what `save` wrote; `ValueError` where it was fitted on another embedder's vectors."""
        stored = load_stored(folder, _KIND)
        if stored.config["embedder"] != embedder.digest:
            fitted, given = str(stored.config["embedder"])[:12], embedder.digest[:12]
            raise ValueError(f"{folder} was fitted on vectors of {fitted}; these are {given}'s")
        fit = RewardFit(**stored.config["fit"])
        head = RewardNetwork(len(stored.arrays["mean"]), fit.hidden_size).eval()
        weights = {name[5:]: torch.from_numpy(a) for name, a in stored.arrays.items() if name.startswith("head.")}
        head.load_state_dict(weights)
        parts = (stored.arrays["mean"], stored.arrays["deviation"])
        config = stored.config
        return cls(RewardHead(fit, *parts, head, config["embedder"], config["zero"], config["unit"]), embedder)

    def _score(self, song: Waveform) -> Score:
        try:
            vector = self.embedder.embed_song(song)
        except ValueError as error:
            return missing_score(str(error))
        return Score(float(self.head.scores(vector.numpy()[None])[0]))
