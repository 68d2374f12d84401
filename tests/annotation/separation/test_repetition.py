"""The repeating background against a slow twin, and on a pattern that repeats."""

import numpy as np

from annotation.separation.repetition import RepetitionConfig, repeating_magnitude, similar_frames


def test_like_frames_are_those_of_a_loop_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    magnitude = rng.random((23, 6)).astype(np.float32)
    config = RepetitionConfig(num_neighbours=4, min_distance_frames=5)
    found = similar_frames(magnitude, config)
    for frame in range(23):
        scores = [
            2.0 if other == frame else float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            for other, (a, b) in enumerate(zip([magnitude[frame]] * 23, magnitude, strict=True))
        ]
        best = [max(range(start, min(start + 5, 23)), key=scores.__getitem__) for start in range(0, 23, 5)]
        expected = sorted(best, key=lambda other: -scores[other])[:4]
        assert list(found[frame]) == expected
        assert found[frame][0] == frame


def test_what_repeats_is_background_and_what_comes_once_is_not() -> None:
    rng = np.random.default_rng(1)
    pattern = np.tile(rng.random((10, 8)), (12, 1)).astype(np.float32)
    once = np.zeros_like(pattern)
    once[57, 3] = 5.0
    config = RepetitionConfig(num_neighbours=9, min_distance_frames=5, quantile=0.5)
    background = repeating_magnitude(pattern + once, config)
    np.testing.assert_allclose(background[:57], pattern[:57], atol=1e-6)
    assert background[57, 3] < 1.1


def test_a_background_is_never_above_its_frame() -> None:
    magnitude = np.random.default_rng(2).random((40, 5)).astype(np.float32)
    assert (repeating_magnitude(magnitude, RepetitionConfig()) <= magnitude).all()
    assert repeating_magnitude(magnitude[:1], RepetitionConfig()).shape == (1, 5)
