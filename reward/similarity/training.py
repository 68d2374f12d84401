"""Fits the towers by contrast: a song's description against other songs' and against its own with one tag wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F

from levo.song.description import Description
from levo.song.waveform import Waveform
from reward.audible import audible
from reward.similarity.embedded import SHORTEST_SONG_S, EmbeddedSimilarity
from reward.similarity.towers import MusicTower, TextTower, TowerConfig
from reward.similarity.vocabulary import TagVocabulary
from reward.spectrogram import FRAME_RATE_HZ, spectrogram

Progress = Callable[[int, int, float], None]
_SAME_TEXT = -1e4


@dataclass(frozen=True, slots=True, eq=False)
class DescribedSong:
    """One song to learn from: any rendition of it, as rendered or decoded from tokens, and its true description."""

    waveform: Waveform
    description: Description


@dataclass(frozen=True, slots=True)
class SimilarityTraining:
    """How long and how the towers are trained; crops are drawn evenly between the two durations."""

    num_steps: int = 500
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    logit_scale: float = 10.0
    shortest_crop_s: float = 2.0
    longest_crop_s: float = 6.0
    dropped_tag_share: float = 0.1


def fit_similarity(
    songs: Sequence[DescribedSong],
    vocabulary: TagVocabulary,
    *,
    seed: int,
    training: SimilarityTraining | None = None,
    progress: Progress | None = None,
) -> EmbeddedSimilarity:
    """Train both towers; `progress` is told step, steps and loss. The same songs and seed give the same towers.

    Raises `ValueError` where a song cannot be heard or has a tag outside the vocabulary or an attribute without a tag.
    """
    training = training or SimilarityTraining()
    spectrograms = [_spectrogram_of(song) for song in songs]
    bags = torch.stack([_bag_of(song, vocabulary) for song in songs])
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    judge = _untrained(TowerConfig(num_tags=len(vocabulary.tags)), vocabulary, seed)
    parameters = [*judge.music.parameters(), *judge.text.parameters()]
    optimizer = torch.optim.AdamW(parameters, training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, training.num_steps)
    for step in range(training.num_steps):
        drawn = rng.choice(len(songs), size=min(training.batch_size, len(songs)), replace=False)
        crops = _crops([spectrograms[song] for song in drawn], training, rng)
        loss = _contrast(judge, crops, bags[drawn], training, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, training.num_steps, float(loss.detach()))
    judge.music.eval()
    judge.text.eval()
    return judge


def _contrast(
    judge: EmbeddedSimilarity,
    crops: Float32[Tensor, "song band frame"],
    bags: Float32[Tensor, "song tag"],
    training: SimilarityTraining,
    generator: torch.Generator,
) -> Float32[Tensor, ""]:
    """InfoNCE both ways (Radford et al. 2021, CLIP), with one-tag-wrong descriptions as further negatives of a song.

    Descriptions that are true of a song beside its own are no negatives of it.
    """
    shown = bags * (torch.rand(bags.shape, generator=generator) >= training.dropped_tag_share)
    shown = torch.where(shown.any(dim=1, keepdim=True), shown, bags)
    music = judge.music(crops)
    own = training.logit_scale * music @ judge.text(shown).T
    also_true = ((1 - bags) @ shown.T == 0) & ~torch.eye(len(bags), dtype=torch.bool)
    own = own.masked_fill(also_true, _SAME_TEXT)
    wrong = judge.text(judge.vocabulary.swapped(bags, generator))
    wrong_logits = training.logit_scale * (music[:, None] * wrong).sum(dim=2)
    target = torch.arange(len(bags))
    return F.cross_entropy(torch.cat([own, wrong_logits], dim=1), target) + F.cross_entropy(own.T, target)


def _crops(
    spectrograms: Sequence[Float32[Tensor, "band frame"]], training: SimilarityTraining, rng: np.random.Generator
) -> Float32[Tensor, "song band crop"]:
    """One random stretch of each song, of one length; shorter songs are repeated to fill it."""
    seconds = rng.uniform(training.shortest_crop_s, training.longest_crop_s)
    num_frames = round(seconds * FRAME_RATE_HZ)
    crops: list[Float32[Tensor, "band crop"]] = []
    for song in spectrograms:
        filled = song.repeat(1, -(-num_frames // song.shape[1]))
        start = int(rng.integers(filled.shape[1] - num_frames + 1))
        crops.append(filled[:, start : start + num_frames])
    return torch.stack(crops)


def _spectrogram_of(song: DescribedSong) -> Float32[Tensor, "band frame"]:
    heard = audible(song.waveform, SHORTEST_SONG_S)
    if heard.missing is not None:
        raise ValueError(f"a song described as {song.description.text!r} cannot be heard: {heard.missing}")
    return spectrogram(heard.samples)


def _bag_of(song: DescribedSong, vocabulary: TagVocabulary) -> Float32[Tensor, " tag"]:
    tags = song.description.tags
    if any(sum(tag in attribute for tag in tags) != 1 for attribute in vocabulary.attributes) or any(
        tag not in vocabulary.tags for tag in tags
    ):
        raise ValueError(f"tags {list(tags)}; expected one of each of {vocabulary.attributes} and no other")
    return vocabulary.bag(song.description)


def _untrained(config: TowerConfig, vocabulary: TagVocabulary, seed: int) -> EmbeddedSimilarity:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EmbeddedSimilarity(vocabulary, MusicTower(config), TextTower(config))
