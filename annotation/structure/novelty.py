"""Where a song changes: a checkerboard slid along the diagonal of its self-similarity matrix.

J. Foote: Automatic audio segmentation using a measure of audio novelty, 2000.
"""

import numpy as np
from jaxtyping import Float32, Int

from levo.song.arrays import Array


def novelty(features: Float32[Array, "frame feature"], half_width: int) -> Float32[Array, " frame"]:
    """How much the `half_width` frames before each frame resemble each other, the ones after too, but not across.

    Similarity is the negative squared distance, so the sums over a tapered checkerboard need no matrix: each side
    enters by its weighted mean, and the novelty is the squared distance of the two means. A frame at the edge is
    compared with what there is.
    """
    before = _weighted_means(features, half_width)
    after = _weighted_means(features[::-1], half_width)[::-1]
    distance = np.square(np.roll(before, 1, axis=0) - after).sum(axis=1)
    distance[0] = 0
    return distance.astype(np.float32)  # type: ignore[no-any-return]


def peaks(values: Float32[Array, " frame"], threshold: float, min_distance: int) -> Int[Array, " peak"]:
    """Frames above the threshold that are the highest within the distance on both sides, in order."""
    chosen: list[int] = []
    for frame in np.argsort(-values, kind="stable"):
        if values[frame] <= threshold:
            break
        if all(abs(int(frame) - other) >= min_distance for other in chosen):
            chosen.append(int(frame))
    return np.array(sorted(chosen), dtype=np.int64)


def _weighted_means(features: Float32[Array, "frame feature"], width: int) -> Float32[Array, "frame feature"]:
    """Mean of each frame and those up to `width` before it, the nearest weighing most."""
    taper = np.hanning(2 * width + 1)[width : 2 * width].astype(np.float32)
    total = np.zeros_like(features)
    weight = np.zeros((features.shape[0], 1), dtype=np.float32)
    for lag, value in enumerate(taper[: features.shape[0]]):
        stop = features.shape[0] - lag
        total[lag:] += value * features[:stop]
        weight[lag:] += value
    return total / weight
