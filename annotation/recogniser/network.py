"""The recogniser's network: four residual convolution blocks over log-mel levels, with two heads."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from levo.codec.spectrum import log_mel, mel_filters, power_spectrogram
from levo.song.arrays import Array

BLANK = 0
_FFT_LENGTH = 512
_SILENT_POWER = 1e-8
_MEAN_LEVEL = -8.0
_LEVEL_SCALE = 4.0


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of the network and of what it hears."""

    sample_rate_hz: int = 16000
    hop_rate_hz: int = 50
    num_bands: int = 80
    width: int = 128
    num_blocks: int = 4
    kernel: int = 5

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate_hz // self.hop_rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """Two readings of each frame: which symbol CTC emits there, and which phoneme sounds there; symbol 0 is none."""

    emitted: Float[Tensor, "song frame symbol"]
    sounding: Float[Tensor, "song frame symbol"]


class RecogniserNetwork(nn.Module):
    """Convolutions of kernel 5 at 50 Hz; what a frame hears reaches 0.2 s to either side."""

    def __init__(self, config: NetworkConfig, num_symbols: int) -> None:
        super().__init__()
        padding = config.kernel // 2
        self.entry = nn.Conv1d(config.num_bands, config.width, config.kernel, padding=padding)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(config.width),
                nn.ReLU(),
                nn.Conv1d(config.width, config.width, config.kernel, padding=padding),
            )
            for _ in range(config.num_blocks)
        )
        self.exit_norm = nn.BatchNorm1d(config.width)
        self.emitted = nn.Conv1d(config.width, num_symbols, 1)
        self.sounding = nn.Conv1d(config.width, num_symbols, 1)

    def forward(self, levels: Float[Tensor, "song frame band"]) -> Logits:
        """Logits of each frame."""
        hidden = self.entry(levels.transpose(1, 2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        hidden = torch.relu(self.exit_norm(hidden))
        return Logits(self.emitted(hidden).transpose(1, 2), self.sounding(hidden).transpose(1, 2))


def heard_levels(samples: Float32[Array, " sample"], config: NetworkConfig) -> Float32[Array, "frame band"]:
    """Log-mel levels of a song, scaled to about -1 ... 2; a begun frame counts as one."""
    power = power_spectrogram(samples, _FFT_LENGTH, config.hop, _FFT_LENGTH)
    levels = log_mel(power, mel_filters(config.num_bands, _FFT_LENGTH, config.sample_rate_hz), _SILENT_POWER)
    return ((levels - np.float32(_MEAN_LEVEL)) / np.float32(_LEVEL_SCALE)).astype(np.float32)
