"""The Fréchet distance against closed forms, a matrix root, and what must leave it as it is."""

import numpy as np
import pytest
from scipy import linalg

from reward.frechet import EmbeddingSet, frechet_distance, gaussian_distance, unbiased_distance

GENERATOR = np.random.default_rng(0)


def sample(num_songs: int, num_dimensions: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    mixed = GENERATOR.normal(size=(num_dimensions, num_dimensions))
    return GENERATOR.normal(size=(num_songs, num_dimensions)) @ mixed + GENERATOR.normal(size=num_dimensions)


def test_of_one_dimension_it_is_the_gap_of_means_and_deviations() -> None:
    one, other = GENERATOR.normal(1, 2, (50, 1)), GENERATOR.normal(-1, 0.5, (70, 1))
    expected = (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    assert gaussian_distance(one, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("num_songs", "num_dimensions"), [(200, 8), (30, 8), (12, 40)])
def test_it_is_what_a_root_of_the_product_gives(num_songs: int, num_dimensions: int) -> None:
    one, other = sample(num_songs, num_dimensions), sample(num_songs + 5, num_dimensions)
    covariances = [np.cov(vectors, rowvar=False) for vectors in (one, other)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    gap = one.mean(axis=0) - other.mean(axis=0)
    expected = gap @ gap + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root)
    assert gaussian_distance(one, other) == pytest.approx(expected, rel=1e-5)


def test_equal_sets_are_nothing_apart_and_turning_both_changes_nothing() -> None:
    one, other = sample(100, 6), sample(80, 6)
    assert gaussian_distance(one, one[::-1]) == pytest.approx(0, abs=1e-9)
    turned = linalg.qr(GENERATOR.normal(size=(6, 6)))[0]
    distance = gaussian_distance(one, other)
    assert gaussian_distance(one @ turned, other @ turned) == pytest.approx(distance, rel=1e-9)
    assert gaussian_distance(other, one) == pytest.approx(distance, rel=1e-9)
    assert gaussian_distance(one + 3, other + 3) == pytest.approx(distance, rel=1e-9)


def test_few_songs_look_further_away_than_they_are_and_the_extrapolation_takes_that_off() -> None:
    reference = EmbeddingSet("model", "reference", GENERATOR.normal(size=(5000, 16)))
    biased, unbiased = [], []
    for seed in range(20):
        few = EmbeddingSet("model", "few", np.random.default_rng(seed).normal(size=(100, 16)))
        biased.append(gaussian_distance(few.vectors, reference.vectors))
        unbiased.append(unbiased_distance(few, reference, seed=seed))
    assert np.mean(biased) > 0.5
    assert abs(np.mean(unbiased)) < 0.5 * np.mean(biased)


def test_a_distance_carries_what_it_was_measured_with() -> None:
    songs, reference = EmbeddingSet("clap", "mine", sample(5, 8)), EmbeddingSet("clap", "pop", sample(20, 8))
    distance = frechet_distance(songs, reference)
    assert (distance.embedding, distance.reference, distance.reference_digest) == ("clap", "pop", reference.digest)
    assert (distance.num_songs, distance.num_reference_songs, distance.is_full_rank) == (5, 20, False)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="embeddings of clap and mulan; expected one model's"):
        frechet_distance(EmbeddingSet("clap", "a", sample(3, 2)), EmbeddingSet("mulan", "b", sample(3, 2)))
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        gaussian_distance(sample(3, 2), sample(3, 3))
    with pytest.raises(ValueError, match="expected two songs or more"):
        EmbeddingSet("clap", "one", sample(1, 2))
    with pytest.raises(ValueError, match="not finite"):
        EmbeddingSet("clap", "bad", np.array([[1.0, np.nan], [0, 1]]))
