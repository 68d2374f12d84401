"""Principal components: features on the few directions in which they vary most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Subtract the mean, then project; lengths in the kept directions are kept."""

    mean: Float32[Array, " feature"]
    directions: Float32[Array, "feature component"]

    def project(self, features: Float32[Array, "frame feature"]) -> Float32[Array, "frame component"]:
        """Coordinates of each frame."""
        return (features - self.mean) @ self.directions


def fit_projection(features: Float32[Array, "frame feature"], num_components: int) -> Projection:
    """The leading components by variance; each direction's largest entry is positive, so that refits agree in sign."""
    mean = features.mean(axis=0)
    covariance = np.cov((features - mean).T.astype(np.float64))
    _, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    leading = vectors[:, ::-1][:, :num_components]
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    return Projection(mean.astype(np.float32), (leading * signs).astype(np.float32))
