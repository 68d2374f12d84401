"""Fréchet distance of two sets of embeddings, each taken for a Gaussian (FAD: K. Kilgour et al., arXiv 1812.08466).

Sets are [song, dimension], finite. Equal sets are 0 apart. A set needs two songs or more; with fewer songs than
dimensions its covariance lacks rank, the distance is too large, and `EmbeddingSet.is_full_rank` says so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from levo.song.arrays import Array
from levo.song.digest import digest_arrays

_NUM_SIZES = 15
_SMALLEST_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingSet:
    """Embeddings of songs: by which model (its name and digest), and of which songs."""

    embedding: str
    name: str
    vectors: Float[Array, "song dimension"]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) < 2:
            raise ValueError(f"{self.name} has embeddings of shape {self.vectors.shape}; expected two songs or more")
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"{self.name} has an embedding that is not finite")

    @property
    def digest(self) -> str:
        """Names the vectors."""
        return digest_arrays([np.asarray(self.vectors)])

    @property
    def is_full_rank(self) -> bool:
        """Whether there are songs enough for a covariance of full rank."""
        return bool(len(self.vectors) > self.vectors.shape[1])


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """A distance, and what it was measured with; it compares with no distance of another embedding or reference."""

    value: float
    embedding: str
    reference: str
    reference_digest: str
    num_songs: int
    num_reference_songs: int
    is_full_rank: bool


def frechet_distance(songs: EmbeddingSet, reference: EmbeddingSet) -> FrechetDistance:
    """Distance of a set from a reference set; raises `ValueError` where two models made them."""
    if songs.embedding != reference.embedding:
        raise ValueError(f"embeddings of {songs.embedding} and {reference.embedding}; expected one model's")
    return FrechetDistance(
        value=gaussian_distance(songs.vectors, reference.vectors),
        embedding=songs.embedding,
        reference=reference.name,
        reference_digest=reference.digest,
        num_songs=len(songs.vectors),
        num_reference_songs=len(reference.vectors),
        is_full_rank=songs.is_full_rank and reference.is_full_rank,
    )


def gaussian_distance(one: Float[Array, "song dimension"], other: Float[Array, "song dimension"]) -> float:
    """||m1 - m2||^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^1/2) (D. Dowson, B. Landau, 1982), with unbiased covariances.

    tr((C1 C2)^1/2) is the sum of the singular values of A B^T, where A and B are the centred songs over root(n - 1):
    no root of a matrix that may be singular.
    """
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"embeddings of {one.shape[1]} and {other.shape[1]} dimensions; expected one number")
    mean_gap = one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    first, second = _root(one), _root(other)
    shared = float(np.linalg.svd(first @ second.T, compute_uv=False).sum())
    distance = float(mean_gap @ mean_gap) + float(np.sum(first**2) + np.sum(second**2)) - 2 * shared
    return max(distance, 0.0)


def unbiased_distance(songs: EmbeddingSet, reference: EmbeddingSet, *, seed: int = 0) -> float:
    """The distance of endlessly many songs (FAD-infinity: A. Gui et al., arXiv 2311.01616): it falls as 1 / songs.

    Distances of random subsets are fitted by a line over 1 / size; this is its value at 0. Subsets are drawn without
    replacement: drawn with it, they tend to the distance of the given songs, which is the one to be rid of.
    """
    generator = np.random.default_rng(seed)
    sizes = np.linspace(max(2, _SMALLEST_SHARE * len(songs.vectors)), len(songs.vectors), _NUM_SIZES).astype(int)
    distances = [gaussian_distance(generator.permutation(songs.vectors)[:size], reference.vectors) for size in sizes]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def _root(vectors: Float[Array, "song dimension"]) -> Float64[Array, "row dimension"]:
    """A matrix whose square is the covariance: the centred songs, or fewer rows where there are more songs."""
    centred = (vectors - vectors.mean(axis=0, dtype=np.float64)) / np.sqrt(len(vectors) - 1)
    if len(centred) <= centred.shape[1]:
        return np.asarray(centred, dtype=np.float64)
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)
