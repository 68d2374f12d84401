"""The two towers: a convolutional one for music and a bag of tag embeddings for text, into one unit sphere."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from reward.spectrogram import NUM_BANDS, onset_envelope, turned_to_key


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Sizes of both towers; lags are of the onset autocorrelation, which carries the tempo."""

    num_tags: int
    embedding_size: int = 48
    width: int = 64
    num_blocks: int = 3
    shortest_lag: int = 10
    longest_lag: int = 60


class MusicTower(nn.Module):
    """Spectrograms of any length to unit vectors."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = nn.Conv1d(NUM_BANDS, config.width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 5, padding=2, stride=2) for _ in range(config.num_blocks)
        )
        num_lags = config.longest_lag - config.shortest_lag
        self.exit = nn.Sequential(
            nn.Linear(3 * config.width + num_lags, 2 * config.width),
            nn.GELU(),
            nn.Linear(2 * config.width, config.embedding_size),
        )

    def forward(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song embedding"]:
        """One unit vector a song: conv features pooled over time, beside the tempo's autocorrelation."""
        hidden = F.gelu(self.entry(turned_to_key(spectrograms)))
        for block in self.blocks:
            hidden = F.gelu(block(hidden))
        pooled = [hidden.mean(dim=2), hidden.amax(dim=2), hidden.std(dim=2)]
        return F.normalize(self.exit(torch.cat([*pooled, self._tempogram(spectrograms)], dim=1)), dim=1)

    def _tempogram(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song lag"]:
        """Autocorrelation of the onset envelope, relative to lag 0."""
        onsets = onset_envelope(spectrograms)
        centred = onsets - onsets.mean(dim=1, keepdim=True)
        spectrum = torch.fft.rfft(centred, n=2 * centred.shape[1])
        correlation = torch.fft.irfft(spectrum.abs().square(), n=2 * centred.shape[1])
        lags = correlation[:, self.config.shortest_lag : self.config.longest_lag]
        relative: Float32[Tensor, "song lag"] = lags / (correlation[:, :1] + 1e-6)
        return relative


class TextTower(nn.Module):
    """Tags to unit vectors: the sum of their embeddings, so that one wrong tag of five turns it part of the way."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(config.num_tags, config.embedding_size) / config.embedding_size**0.5)

    def forward(self, bags: Float[Tensor, "*text tag"]) -> Float32[Tensor, "*text embedding"]:
        """One unit vector a bag; a bag holds 1 for each tag that it contains."""
        return F.normalize(bags @ self.embeddings, dim=-1)
