"""REPET-SIM: what a song repeats is its accompaniment, so each frame's background is low among frames like it.

Z. Rafii, B. Pardo: Music/voice separation using the similarity matrix, 2012; with a lower quantile in place of their
median, because songs repeat what is sung as well.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True)
class RepetitionConfig:
    """How many like frames make a background, and how far apart they must lie, and which quantile of them it is."""

    num_neighbours: int = 30
    min_distance_frames: int = 6
    quantile: float = 0.3


def repeating_magnitude(
    magnitude: Float32[Array, "frame bin"], config: RepetitionConfig
) -> Float32[Array, "frame bin"]:
    """The part of each frame that is heard in the frames most like it too; never above the frame itself."""
    neighbours = similar_frames(magnitude, config)
    background = np.empty_like(magnitude)
    rank = int(config.quantile * neighbours.shape[1])
    for frame, others in enumerate(neighbours):
        background[frame] = np.partition(magnitude[others], rank, axis=0)[rank]
    return np.minimum(background, magnitude)


def similar_frames(magnitude: Float32[Array, "frame bin"], config: RepetitionConfig) -> Int[Array, "frame neighbour"]:
    """For each frame, the frames with the highest cosine similarity, one a stretch of the minimum distance.

    The frame itself comes first. Within each stretch only the best frame counts, so a held note is no repetition.
    """
    normed = magnitude / np.maximum(np.linalg.norm(magnitude, axis=1, keepdims=True), 1e-9)
    similarity = normed @ normed.T
    num_frames = similarity.shape[0]
    np.fill_diagonal(similarity, 2.0)
    stretch = min(config.min_distance_frames, num_frames)
    num_stretches = -(-num_frames // stretch)
    padded = np.full((num_frames, num_stretches * stretch), -np.inf, dtype=np.float32)
    padded[:, :num_frames] = similarity
    blocks = padded.reshape(num_frames, num_stretches, stretch)
    best = blocks.argmax(axis=2) + np.arange(num_stretches) * stretch
    best_similarity = blocks.max(axis=2)
    num_kept = min(config.num_neighbours, num_stretches)
    order = np.argsort(-best_similarity, axis=1, kind="stable")[:, :num_kept]
    return np.take_along_axis(best, order, axis=1)
