"""Principal components against the singular value decomposition."""

import numpy as np

from levo.codec.projection import fit_projection


def test_components_are_the_leading_singular_directions() -> None:
    rng = np.random.default_rng(0)
    features = (rng.standard_normal((400, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 4).astype(np.float32)
    projection = fit_projection(features, 3)
    centred = features - features.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    overlap = np.abs(directions[:3] @ projection.directions)
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(projection.project(features).mean(axis=0), 0, atol=1e-4)


def test_all_components_together_keep_every_distance() -> None:
    features = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    projected = fit_projection(features, 4).project(features)
    np.testing.assert_allclose(
        np.linalg.norm(projected[:, None] - projected, axis=2),
        np.linalg.norm(features[:, None] - features, axis=2),
        atol=1e-4,
    )
