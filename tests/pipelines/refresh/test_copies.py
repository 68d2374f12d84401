"""Copies: equal stretches are found wherever they stand, other songs are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.refresh.copies import CopyIndex, CopyRules, fingerprints, share_in

RULES = CopyRules(window_frames=25, keep_one_in=4)


def song(seed: int, num_frames: int = 150) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    return np.random.default_rng(seed).integers(0, 512, (3, num_frames)).astype(np.int32)


@given(st.integers(0, 60), st.integers(0, 1000))
def test_a_stretch_is_found_wherever_it_stands(start: int, seed: int) -> None:
    original, around = song(seed), song(seed + 1, 300)
    placed = around.copy()
    placed[:, start : start + 150] = original
    assert share_in(fingerprints(original, RULES), fingerprints(placed, RULES)) == 1.0


@given(st.integers(0, 1000))
def test_songs_of_their_own_share_nothing(seed: int) -> None:
    index = CopyIndex([fingerprints(song(seed + other), RULES) for other in range(1, 6)])
    assert index.share_of(fingerprints(song(seed), RULES)) == 0.0


def test_half_a_song_is_half_a_copy() -> None:
    rules = CopyRules(window_frames=10, keep_one_in=1)
    original, mixed = song(1, 400), song(2, 400)
    mixed[:, :200] = original[:, :200]
    share = CopyIndex([fingerprints(original, rules)]).share_of(fingerprints(mixed, rules))
    assert share == pytest.approx(191 / 391), "the windows that lie whole in the first half"


def test_the_mixed_stream_alone_makes_no_song_another() -> None:
    original = song(3)
    remixed = original.copy()
    remixed[0] = song(4)[0]
    assert share_in(fingerprints(remixed, RULES), fingerprints(original, RULES)) == 1.0


def test_a_song_shorter_than_a_window_is_no_copy() -> None:
    index = CopyIndex([fingerprints(song(1), RULES)])
    assert index.share_of(fingerprints(song(1)[:, :24], RULES)) == 0.0


def test_one_number_is_kept_for_as_many_frames_as_the_rules_say() -> None:
    kept = [len(fingerprints(song(seed, 4024), RULES)) for seed in range(5)]
    assert np.mean(kept) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "told"), [({"window_frames": 0}, "window_frames 0"), ({"max_share": 0.0}, "max_share is 0.0")]
)
def test_rules_that_mean_nothing_are_refused(changes: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CopyRules(**changes)  # type: ignore[arg-type]
