"""The two towers: a listener for music and a bag of tag embeddings for text, into one unit sphere."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from reward.listener import Listener, ListenerConfig


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Sizes of both towers."""

    num_tags: int
    embedding_size: int = 48
    listener: ListenerConfig = field(default_factory=ListenerConfig)


class MusicTower(nn.Module):
    """Spectrograms of any length to unit vectors."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.listener = Listener(config.listener)
        hidden = 2 * config.listener.width
        self.exit = nn.Sequential(
            nn.Linear(config.listener.num_features, hidden), nn.GELU(), nn.Linear(hidden, config.embedding_size)
        )

    def forward(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song embedding"]:
        """One unit vector a song."""
        return F.normalize(self.exit(self.listener(spectrograms)), dim=1)


class TextTower(nn.Module):
    """Tags to unit vectors: the sum of their embeddings, so that one wrong tag of five turns it part of the way."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(config.num_tags, config.embedding_size) / config.embedding_size**0.5)

    def forward(self, bags: Float[Tensor, "*text tag"]) -> Float32[Tensor, "*text embedding"]:
        """One unit vector a bag; a bag holds 1 for each tag that it contains."""
        return F.normalize(bags @ self.embeddings, dim=-1)
