"""Teaching the semantic encoder: which phoneme fills how much of each frame of songs whose phonemes are known."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from levo.codec.semantic import LEVEL_SCALE, SemanticConfig, SemanticEncoder, SemanticNetwork
from levo.song.arrays import Array
from levo.song.timing import TimedPhoneme

NO_PHONEME = ""


def phoneme_shares(
    timed: Sequence[TimedPhoneme], phonemes: tuple[str, ...], num_frames: int, frame_rate_hz: int
) -> Float32[Array, "frame phoneme"]:
    """How much of each frame each phoneme fills; the rest goes to the first, which is none."""
    starts = np.arange(num_frames) / frame_rate_hz
    shares = np.zeros((num_frames, len(phonemes)), dtype=np.float64)
    for item in timed:
        column = phonemes.index(item.phoneme)
        overlap = np.minimum(starts + 1 / frame_rate_hz, item.end_s) - np.maximum(starts, item.start_s)
        shares[:, column] += np.maximum(overlap, 0) * frame_rate_hz
    shares[:, 0] = np.maximum(0, 1 - shares[:, 1:].sum(axis=1))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def train_semantic_encoder(
    features: Sequence[Float32[Array, "frame feature"]],
    shares: Sequence[Float32[Array, "frame phoneme"]],
    phonemes: tuple[str, ...],
    config: SemanticConfig,
    sample_rate_hz: int,
    frame_length: int,
    seed: int,
) -> SemanticEncoder:
    """Cross-entropy against each frame's shares, on windows drawn from the songs; one-cycle learning rate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SemanticNetwork(features[0].shape[1], len(phonemes), config)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.num_steps)
    rng = np.random.default_rng(seed)
    for _ in range(config.num_steps):
        heard, told = _draw_windows(features, shares, config, rng)
        loss = nn.functional.cross_entropy(network(heard).flatten(0, 1), told.flatten(0, 1))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return SemanticEncoder(config, phonemes, network.eval(), sample_rate_hz, frame_length)


def _draw_windows(
    features: Sequence[Float32[Array, "frame feature"]],
    shares: Sequence[Float32[Array, "frame phoneme"]],
    config: SemanticConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Windows of songs drawn by their length, their levels moved together by up to 6 dB."""
    lengths = np.array([song.shape[0] for song in features], dtype=np.float64)
    length = min(config.window_frames, int(lengths.min()))
    heard, told = [], []
    for song in rng.choice(len(features), config.songs_per_step, p=lengths / lengths.sum()):
        start = int(rng.integers(features[song].shape[0] - length + 1))
        louder = np.float32(rng.uniform(-1.4, 1.4) / LEVEL_SCALE)
        heard.append(features[song][start : start + length] + louder)
        told.append(shares[song][start : start + length])
    return torch.from_numpy(np.stack(heard)), torch.from_numpy(np.stack(told))
