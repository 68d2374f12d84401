"""Fits the musicality reward: every better version of a song should beat every worse one (Bradley and Terry 1952)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F

from reward.audible import audible
from reward.musicality.embedded import (
    SHORTEST_SONG_S,
    CleanSongs,
    EmbeddedMusicality,
    RewardConfig,
    RewardNetwork,
    mean_logit,
)
from reward.musicality.ranking import PairAgreement, RankedSong, pair_agreement
from reward.spectrogram import spectrogram

Progress = Callable[[int, int, float], None]
_LARGEST_SHIFT_FRAMES = 20


@dataclass(frozen=True, slots=True)
class MusicalityTraining:
    """How the network is trained, and the share of songs kept out of it to find the clean songs' spread."""

    num_steps: int = 600
    songs_per_batch: int = 10
    learning_rate: float = 2e-3
    weight_decay: float = 0.2
    across_songs_weight: float = 0.5
    kept_out_share: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.kept_out_share < 1:
            raise ValueError(f"kept-out share {self.kept_out_share}; expected more than 0 and less than 1")


@dataclass(frozen=True, slots=True, eq=False)
class FittedMusicality:
    """The reward, and how well it orders the versions of songs that it was not trained on."""

    reward: EmbeddedMusicality
    kept_out: PairAgreement


def fit_musicality(
    songs: Sequence[RankedSong],
    *,
    seed: int,
    config: RewardConfig | None = None,
    training: MusicalityTraining | None = None,
    progress: Progress | None = None,
) -> FittedMusicality:
    """Train on ranked songs with one number of versions; `progress` is told step, steps and loss.

    The same songs and seed give the same reward. Raises `ValueError` where a version cannot be heard, where songs
    differ in their number of versions, or where they are too few to keep two out.
    """
    config, training = config or RewardConfig(), training or MusicalityTraining()
    heard = [_spectrograms(song) for song in songs]
    if len({versions.shape[0] for versions in heard}) > 1:
        raise ValueError(f"songs have {sorted({one.shape[0] for one in heard})} versions; expected one number")
    num_kept_out = round(training.kept_out_share * len(songs))
    if num_kept_out < 2 or len(songs) - num_kept_out < 1:
        raise ValueError(f"{len(songs)} songs leave {num_kept_out} out of training; expected 2 or more")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(songs))
    kept_out, taught = [heard[song] for song in order[:num_kept_out]], [heard[song] for song in order[num_kept_out:]]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RewardNetwork(config)
        _train(network, taught, training, rng, progress)
    network.eval()
    logits = _logits(network, kept_out, config)
    clean = [row[0] for row in logits]
    reward = EmbeddedMusicality(config, network, CleanSongs(float(np.mean(clean)), float(np.std(clean, ddof=1))))
    return FittedMusicality(reward, pair_agreement(logits))


def _train(
    network: RewardNetwork,
    songs: Sequence[Float32[Tensor, "version band frame"]],
    training: MusicalityTraining,
    rng: np.random.Generator,
    progress: Progress | None,
) -> None:
    by_length = sorted(songs, key=lambda versions: versions.shape[2])
    optimizer = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, training.num_steps)
    network.train()
    for step in range(training.num_steps):
        batch = _neighbours(by_length, training.songs_per_batch, rng)
        logits = network(torch.cat(batch)).view(len(batch), -1)
        loss = ranking_loss(logits, training.across_songs_weight)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, training.num_steps, float(loss.detach()))


def ranking_loss(logits: Float32[Tensor, "song version"], across_songs_weight: float) -> Float32[Tensor, ""]:
    """Mean of -log sigmoid(better - worse) over pairs of versions within a song, and weighted, across songs.

    Across songs the same order holds on the whole, and teaches the network one scale for all of them.
    """
    better, worse = torch.triu_indices(logits.shape[1], logits.shape[1], offset=1)
    within = F.softplus(logits[:, worse] - logits[:, better]).mean()
    across = F.softplus(logits[:, None, worse] - logits[None, :, better]).mean()
    return within + across_songs_weight * across


def _neighbours(
    by_length: Sequence[Float32[Tensor, "version band frame"]], num_songs: int, rng: np.random.Generator
) -> list[Float32[Tensor, "version band crop"]]:
    """Songs of nearly one length, cut alike, each at a random place, so that no beat falls on a fixed frame."""
    first = int(rng.integers(max(1, len(by_length) - num_songs + 1)))
    drawn = by_length[first : first + num_songs]
    num_frames = drawn[0].shape[2] - _LARGEST_SHIFT_FRAMES
    starts = [int(rng.integers(song.shape[2] - num_frames + 1)) for song in drawn]
    return [song[:, :, start : start + num_frames] for song, start in zip(drawn, starts, strict=True)]


def _spectrograms(song: RankedSong) -> Float32[Tensor, "version band frame"]:
    versions = [audible(version, SHORTEST_SONG_S) for version in song.versions]
    unheard = [version.missing for version in versions if version.missing is not None]
    if unheard:
        raise ValueError(f"song {song.song_id} has a version that cannot be heard: {unheard[0]}")
    return torch.stack([spectrogram(version.samples) for version in versions])


@torch.no_grad()
def _logits(
    network: RewardNetwork, songs: Sequence[Float32[Tensor, "version band frame"]], config: RewardConfig
) -> list[list[float]]:
    return [[mean_logit(network, version, config.stretch_s) for version in song] for song in songs]
