"""Vector quantisation: k-means centroids, and the nearest of them to each frame."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from levo.song.arrays import Array

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Centroids; a frame's code is the index of the nearest one, the lower of two equals."""

    centroids: Float32[Array, "code feature"]

    @property
    def num_codes(self) -> int:
        """Entries of the book."""
        return int(self.centroids.shape[0])

    def assign(self, features: Float32[Array, "frame feature"]) -> Int32[Array, " frame"]:
        """The nearest centroid of each frame, by Euclidean distance."""
        half_norms = np.square(self.centroids).sum(axis=1) / 2
        codes = np.empty(features.shape[0], dtype=np.int32)
        for start in range(0, features.shape[0], _ROWS_AT_ONCE):
            rows = features[start : start + _ROWS_AT_ONCE]
            codes[start : start + _ROWS_AT_ONCE] = (rows @ self.centroids.T - half_norms).argmax(axis=1)
        return codes


def fit_codebook(
    features: Float32[Array, "frame feature"],
    num_codes: int,
    rng: np.random.Generator,
    *,
    num_iterations: int = 15,
) -> Codebook:
    """Lloyd's k-means from k-means++ seeds; a code that no frame chose restarts at the frame worst served.

    Fewer distinct frames than codes give a book of as many entries as there are frames.
    """
    if features.shape[0] == 0:
        raise ValueError(f"no frames to fit {num_codes} codes on; expected at least one")
    distinct = np.unique(features, axis=0)
    if distinct.shape[0] <= num_codes:
        return Codebook(distinct)
    codebook = Codebook(_spread_seeds(features, num_codes, rng))
    for _ in range(num_iterations):
        codebook = _moved_to_means(codebook, features)
    return codebook


def code_means(
    values: Float32[Array, "frame feature"], codes: Int32[Array, " frame"], num_codes: int, otherwise: float = 0.0
) -> Float32[Array, "code feature"]:
    """The mean of the frames of each code, and `otherwise` where a code has none."""
    order = np.argsort(codes, kind="stable")
    present, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    means = np.full((num_codes, values.shape[1]), otherwise, dtype=np.float32)
    means[present] = np.add.reduceat(values[order], starts, axis=0) / counts[:, None]
    return means


def level_means(
    log_power: Float32[Array, "frame band"], codes: Int32[Array, " frame"], num_codes: int, otherwise: float
) -> Float32[Array, "code band"]:
    """Spectra of the codes: the shape is the mean of the logs, which keeps valleys, and the power the mean power."""
    shape = code_means(log_power, codes, num_codes, otherwise)
    power = code_means(np.exp(log_power).sum(axis=1, keepdims=True), codes, num_codes, 1.0)
    gain = np.log(power) - np.log(np.exp(shape).sum(axis=1, keepdims=True))
    has_frames = np.bincount(codes, minlength=num_codes)[:, None] > 0
    return np.where(has_frames, shape + gain, shape).astype(np.float32)


def _moved_to_means(codebook: Codebook, features: Float32[Array, "frame feature"]) -> Codebook:
    codes = codebook.assign(features)
    means = code_means(features, codes, codebook.num_codes)
    unused = np.flatnonzero(np.bincount(codes, minlength=codebook.num_codes) == 0)
    if unused.size:
        distance = np.square(features - means[codes]).sum(axis=1)
        means[unused] = features[np.argsort(-distance, kind="stable")[: unused.size]]
    return Codebook(means)


def _spread_seeds(
    features: Float32[Array, "frame feature"], num_codes: int, rng: np.random.Generator
) -> Float32[Array, "code feature"]:
    """k-means++ (Arthur and Vassilvitskii, 2007): each seed drawn by its squared distance from those before it."""
    norms = np.square(features).sum(axis=1)
    seeds = [int(rng.integers(features.shape[0]))]
    nearest = np.full(features.shape[0], np.inf, dtype=np.float32)
    while len(seeds) < num_codes:
        last = features[seeds[-1]]
        distance = np.maximum(norms - 2 * (features @ last) + last @ last, 0)
        nearest = np.minimum(nearest, distance)
        cumulative = np.cumsum(nearest, dtype=np.float64)
        drawn = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
        seeds.append(min(drawn, features.shape[0] - 1))
    drawn_features: Float32[Array, "code feature"] = features[np.array(seeds)]
    return drawn_features
