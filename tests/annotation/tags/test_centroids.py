"""Nearest centroids against the Gaussian densities written out, and their indifference to units."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from annotation.tags.centroids import fit_centroids
from levo.song.arrays import Array


def _two_classes(seed: int) -> tuple[Array, list[str]]:
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(3, 3))
    features = np.concatenate([rng.normal(size=(40, 3)) @ spread, rng.normal(size=(40, 3)) @ spread + [1.0, -2.0, 0.5]])
    return features, ["a"] * 40 + ["b"] * 40


def test_probabilities_are_those_of_two_gaussians_with_the_pooled_covariance() -> None:
    features, labels = _two_classes(0)
    fitted = fit_centroids(features, labels, shrinkage=0.0)
    groups = features[:40], features[40:]
    pooled = sum(np.cov(group.T) * 39 for group in groups) / 78
    for point in features[::7]:
        densities = np.array([multivariate_normal(group.mean(axis=0), pooled).pdf(point) for group in groups])
        np.testing.assert_allclose(fitted.probabilities(point), densities / densities.sum(), atol=1e-4)


def test_the_unit_of_a_feature_does_not_matter() -> None:
    features, labels = _two_classes(1)
    units = np.array([1.0, 100.0, 0.1])
    plain, scaled = fit_centroids(features, labels), fit_centroids(features * units, labels)
    for point in features[::9]:
        np.testing.assert_allclose(plain.probabilities(point), scaled.probabilities(point * units), atol=1e-3)


def test_a_class_of_one_song_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"tags \['rare'\] have fewer than two songs among 3"):
        fit_centroids(np.zeros((3, 2)), ["common", "common", "rare"])
