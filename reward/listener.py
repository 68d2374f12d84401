"""The architecture that the trained judges share: spectrograms of any length to one feature vector a song."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from reward.spectrogram import NUM_BANDS, onset_envelope, turned_to_key


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """Sizes; `shortest_lag` and `longest_lag`, in spectrogram frames, bound the onset autocorrelation (the tempo)."""

    width: int = 64
    num_blocks: int = 3
    shortest_lag: int = 10
    longest_lag: int = 60

    @property
    def num_features(self) -> int:
        """Length of a song's vector."""
        return 3 * self.width + self.longest_lag - self.shortest_lag


class Listener(nn.Module):
    """Convolutions over time that halve the rate, pooled; beside them the autocorrelation of the onsets."""

    def __init__(self, config: ListenerConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = nn.Conv1d(NUM_BANDS, config.width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 5, stride=2, padding=2) for _ in range(config.num_blocks)
        )

    def forward(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song feature"]:
        """Mean, maximum and spread over time of each channel, then the tempogram."""
        hidden = F.gelu(self.entry(turned_to_key(spectrograms)))
        for block in self.blocks:
            hidden = F.gelu(block(hidden))
        pooled = [hidden.mean(dim=2), hidden.amax(dim=2), hidden.std(dim=2, correction=0)]
        return torch.cat([*pooled, self._tempogram(spectrograms)], dim=1)

    def _tempogram(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song lag"]:
        """Autocorrelation of the onset envelope, relative to lag 0; 0 at lags that a song is too short for."""
        onsets = onset_envelope(spectrograms)
        centred = onsets - onsets.mean(dim=1, keepdim=True)
        size = 2 * max(centred.shape[1], self.config.longest_lag)
        correlation = torch.fft.irfft(torch.fft.rfft(centred, n=size).abs().square(), n=size)
        lags = correlation[:, self.config.shortest_lag : self.config.longest_lag]
        relative: Float32[Tensor, "song lag"] = lags / (correlation[:, :1] + 1e-6)
        return relative
