"""The semantic encoder: a small convolutional network that hears which phoneme is sung in each frame of a mixture."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from levo.codec.spectrum import log_mel, mel_filters, power_spectrogram
from levo.song.arrays import Array

_FFT_LENGTH = 512
_SILENT_POWER = 1e-8
_LEVEL_OFFSET = 7.0
LEVEL_SCALE = 4.0


@dataclass(frozen=True, slots=True)
class SemanticConfig:
    """Size and training of the encoder."""

    num_bands: int = 48
    hops_per_frame: int = 4
    width: int = 160
    dilations: tuple[int, ...] = (1, 2, 1)
    num_steps: int = 700
    songs_per_step: int = 8
    window_frames: int = 72
    learning_rate: float = 3e-3


class SemanticNetwork(nn.Module):
    """Dilated residual convolutions at the token rate."""

    def __init__(self, num_features: int, num_phonemes: int, config: SemanticConfig) -> None:
        super().__init__()
        self.entry = nn.Conv1d(num_features, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 3, padding=dilation, dilation=dilation)
            for dilation in config.dilations
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, config.width) for _ in config.dilations)
        self.exit = nn.Conv1d(config.width, num_phonemes, 1)

    def forward(self, features: Float[Tensor, "song frame feature"]) -> Float[Tensor, "song frame phoneme"]:
        """Logits of each frame's phoneme."""
        hidden = torch.relu(self.entry(features.transpose(1, 2)))
        for block, norm in zip(self.blocks, self.norms, strict=True):
            hidden = hidden + torch.relu(block(norm(hidden)))
        logits: Tensor = self.exit(hidden)
        return logits.transpose(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class HeardFrames:
    """Frames of a mixture: the probability of each phoneme, and the mean level of each mel band (scaled)."""

    posteriors: Float32[Array, "frame phoneme"]
    levels: Float32[Array, "frame band"]


@dataclass(frozen=True, slots=True, eq=False)
class SemanticEncoder:
    """A trained network and the phonemes it tells apart; the first of them is none."""

    config: SemanticConfig
    phonemes: tuple[str, ...]
    network: SemanticNetwork
    sample_rate_hz: int
    frame_length: int

    def hear(self, samples: Float32[Array, " sample"]) -> HeardFrames:
        """What is sung in each frame of a mixture, and how it sounds; the samples fill whole frames."""
        features = semantic_features(samples, self.sample_rate_hz, self.frame_length, self.config)
        return self.hear_features(features)

    def hear_features(self, features: Float32[Array, "frame feature"]) -> HeardFrames:
        """`hear` of features that were computed before."""
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(features)[None])
        posteriors: Float32[Array, "frame phoneme"] = torch.softmax(logits[0], dim=1).numpy()
        levels = features.reshape(-1, self.config.hops_per_frame, self.config.num_bands).mean(axis=1)
        return HeardFrames(posteriors, levels)

    def arrays(self) -> dict[str, Array]:
        """The network's weights by name."""
        return {f"semantic.{name}": value.numpy() for name, value in self.network.state_dict().items()}


def semantic_encoder_of(
    config: SemanticConfig,
    phonemes: tuple[str, ...],
    arrays: Mapping[str, Array],
    sample_rate_hz: int,
    frame_length: int,
) -> SemanticEncoder:
    """The encoder that gave these arrays."""
    network = SemanticNetwork(config.num_bands * config.hops_per_frame, len(phonemes), config)
    prefix = "semantic."
    network.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(value)
            for name, value in arrays.items()
            if name.startswith(prefix)
        }
    )
    return SemanticEncoder(config, phonemes, network.eval(), sample_rate_hz, frame_length)


def semantic_features(
    samples: Float32[Array, " sample"], sample_rate_hz: int, frame_length: int, config: SemanticConfig
) -> Float32[Array, "frame feature"]:
    """Log-mel levels of a frame's hops side by side, scaled to about -1 ... 1."""
    hop = frame_length // config.hops_per_frame
    power = power_spectrogram(samples, 3 * hop, hop, _FFT_LENGTH)
    levels = log_mel(power, mel_filters(config.num_bands, _FFT_LENGTH, sample_rate_hz), _SILENT_POWER)
    scaled: Float32[Array, "frame feature"] = (levels + np.float32(_LEVEL_OFFSET)) / np.float32(LEVEL_SCALE)
    return scaled.reshape(-1, config.hops_per_frame * config.num_bands)
