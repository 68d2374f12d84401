"""Two states of a song that take turns, as verse and chorus do: found together with what each of them sounds like."""

import numpy as np
from jaxtyping import Bool, Float, Int

from annotation.structure.activity import two_level_threshold
from levo.song.arrays import Array

_MOST_ROUNDS = 10
_LEAST_VARIANCE = 0.05
_EVIDENCE = 0.1
"""What a frame counts: neighbours of 0.1 s say nearly the same."""


def two_states(
    features: Float[Array, "frame feature"], begins: Bool[Array, " frame"], switch_cost: float
) -> Int[Array, " frame"] | None:
    """State 0 or 1 of each frame: the likeliest path through two Gaussians of one diagonal covariance, or None.

    A hidden Markov model trained by Viterbi's algorithm (L. Rabiner, 1989) on features of unit variance, from a first
    split along their main direction. A switch costs `switch_cost` nats, but for nothing where a stretch `begins`. None
    where one state takes all frames, as in features that never change.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.maximum(spread, 1e-6)
    if len(features) < 2 or not spread.any():
        return None
    direction = np.linalg.svd(scaled, full_matrices=False)[2][0]
    along = scaled @ direction
    states = (along > two_level_threshold(along)).astype(np.int64)
    costs = np.where(begins, 0.0, switch_cost)
    for _ in range(_MOST_ROUNDS):
        if states.min() == states.max():
            return None
        path = _best_path(_likelihoods(scaled, states), costs)
        if np.array_equal(path, states):
            break
        states = path
    return None if states.min() == states.max() else states


def _likelihoods(features: Float[Array, "frame feature"], states: Int[Array, " frame"]) -> Float[Array, "frame state"]:
    """Log likelihood of each frame under each state, but for what both share."""
    means = np.stack([features[states == state].mean(axis=0) for state in (0, 1)])
    variance = np.square(features - means[states]).mean(axis=0) + _LEAST_VARIANCE
    distances = np.square(features[:, None] - means) / variance
    likelihoods: Float[Array, "frame state"] = -0.5 * _EVIDENCE * distances.sum(axis=2)
    return likelihoods


def _best_path(likelihoods: Float[Array, "frame state"], costs: Float[Array, " frame"]) -> Int[Array, " frame"]:
    num_frames = len(likelihoods)
    came_from = np.zeros((num_frames, 2), dtype=np.int64)
    total = likelihoods[0].copy()
    for frame in range(1, num_frames):
        switched = total[::-1] - costs[frame]
        came_from[frame] = np.where(switched > total, (1, 0), (0, 1))
        total = np.maximum(total, switched) + likelihoods[frame]
    path = np.empty(num_frames, dtype=np.int64)
    path[-1] = total.argmax()
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path
