"""Nearest centroid in a space where the classes' common spread is round: linear discriminant analysis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class Centroids:
    """Each class's mean in whitened features; `whitening` maps features to that space."""

    classes: tuple[str, ...]
    centroids: Float64[Array, "class feature"]
    whitening: Float64[Array, "feature feature"]

    def probabilities(self, features: Float64[Array, " feature"]) -> Float64[Array, " class"]:
        """How probable each class is, all of them equally common and spread alike."""
        distances = np.square(features @ self.whitening - self.centroids).sum(axis=1)
        odds: Float64[Array, " class"] = np.exp(-0.5 * (distances - distances.min()))
        total: Float64[Array, " class"] = odds / odds.sum()
        return total


def fit_centroids(features: Float64[Array, "song feature"], labels: Sequence[str], shrinkage: float = 0.2) -> Centroids:
    """Means of the classes and their pooled covariance, drawn towards its own diagonal by a share.

    R. A. Fisher, 1936; J. H. Friedman: Regularized discriminant analysis, 1989. Raises `ValueError` for a class of
    fewer than two songs.
    """
    classes = tuple(sorted(set(labels)))
    chosen = np.asarray(labels)
    scarce = [name for name in classes if int((chosen == name).sum()) < 2]
    if scarce or not classes:
        raise ValueError(f"tags {scarce} have fewer than two songs among {len(labels)}; expected two or more of each")
    means = np.stack([features[chosen == name].mean(axis=0) for name in classes])
    residual = features - means[np.searchsorted(classes, chosen)]
    covariance = residual.T @ residual / max(1, len(labels) - len(classes))
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    values, vectors = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * diagonal)
    whitening = vectors / np.sqrt(values)
    return Centroids(classes, means @ whitening, whitening)
