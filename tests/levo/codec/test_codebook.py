"""K-means and its codes against brute force and known clusters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.codec.codebook import Codebook, code_means, fit_codebook, level_means


@given(seed=st.integers(0, 1000), num_frames=st.integers(0, 60), num_codes=st.integers(1, 20))
def test_a_code_is_the_nearest_centroid(seed: int, num_frames: int, num_codes: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((num_frames, 5)).astype(np.float32)
    centroids = rng.standard_normal((num_codes, 5)).astype(np.float32)
    distances = np.linalg.norm(features[:, None].astype(np.float64) - centroids, axis=2)
    chosen = distances[np.arange(num_frames), Codebook(centroids).assign(features)]
    np.testing.assert_allclose(chosen, distances.min(axis=1, initial=np.inf), rtol=1e-4, atol=1e-4)


@given(seed=st.integers(0, 1000), num_frames=st.integers(1, 60), num_codes=st.integers(1, 12))
def test_means_by_code_are_those_of_a_loop(seed: int, num_frames: int, num_codes: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((num_frames, 3)).astype(np.float32)
    codes = rng.integers(num_codes, size=num_frames).astype(np.int32)
    means = code_means(values, codes, num_codes, otherwise=-7.0)
    for code in range(num_codes):
        mine = values[codes == code]
        expected = mine.mean(axis=0) if len(mine) else np.full(3, -7.0)
        np.testing.assert_allclose(means[code], expected, rtol=1e-4, atol=1e-5)


def test_a_codes_level_has_the_mean_power_and_the_mean_logarithmic_shape() -> None:
    power = np.array([[1.0, 4.0], [4.0, 16.0], [9.0, 1.0]], np.float32)
    levels = level_means(np.log(power), np.array([0, 0, 2], np.int32), 3, otherwise=-9.0)
    # Code 0: the geometric means are 2 and 8, and the mean power (5 + 20) / 2 is spread in that proportion.
    np.testing.assert_allclose(np.exp(levels[0]), [2.5, 10.0], rtol=1e-5)
    np.testing.assert_allclose(levels[1], -9.0)
    np.testing.assert_allclose(np.exp(levels[2]), power[2], rtol=1e-5)


def test_well_separated_clusters_get_a_code_each() -> None:
    rng = np.random.default_rng(1)
    corners = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], dtype=np.float32)
    features = np.repeat(corners, 50, axis=0) + 0.1 * rng.standard_normal((200, 2)).astype(np.float32)
    codes = fit_codebook(features, 4, rng).assign(features).reshape(4, 50)
    assert (codes == codes[:, :1]).all()
    assert len(set(codes[:, 0])) == 4


def test_more_rounds_never_cost_more() -> None:
    features = np.random.default_rng(2).standard_normal((500, 4)).astype(np.float32)

    def cost(num_iterations: int) -> float:
        book = fit_codebook(features, 16, np.random.default_rng(5), num_iterations=num_iterations)
        return float(np.square(features - book.centroids[book.assign(features)]).sum())

    costs = [cost(rounds) for rounds in range(6)]
    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(costs))


def test_every_code_of_a_fitted_book_is_in_use() -> None:
    features = np.random.default_rng(3).standard_normal((2000, 6)).astype(np.float32) ** 3
    book = fit_codebook(features, 64, np.random.default_rng(0))
    assert len(np.unique(book.assign(features))) == 64


def test_few_distinct_frames_are_kept_as_they_are() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    book = fit_codebook(features, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(book.centroids[book.assign(features)], features)


def test_a_codebook_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no frames to fit 8 codes on"):
        fit_codebook(np.zeros((0, 3), np.float32), 8, np.random.default_rng(0))
