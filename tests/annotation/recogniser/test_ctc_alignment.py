"""Forced alignment against every path that there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.recogniser.alignment import ctc_alignment
from levo.song.arrays import Array


def _collapsed(path: tuple[int, ...]) -> list[int]:
    """CTC's reading of a path: equal neighbours are one symbol, then blanks fall away."""
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != 0]


def _log_probabilities(seed: int, num_frames: int, num_symbols: int) -> Array:
    logits = np.random.default_rng(seed).standard_normal((num_frames, num_symbols)) * 2
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


@given(seed=st.integers(0, 10_000), num_frames=st.integers(1, 6), symbols=st.lists(st.integers(1, 2), max_size=3))
def test_the_path_is_the_likeliest_of_all_that_collapse_to_the_symbols(
    seed: int, num_frames: int, symbols: list[int]
) -> None:
    scores = _log_probabilities(seed, num_frames, 3)
    paths = [path for path in itertools.product(range(3), repeat=num_frames) if _collapsed(path) == symbols]
    row = np.array(symbols, dtype=np.int64)
    if not paths:
        with pytest.raises(ValueError, match=f"{num_frames} frames for {len(symbols)} symbols"):
            ctc_alignment(scores, row)
        return
    best = max(float(sum(scores[frame, symbol] for frame, symbol in enumerate(path))) for path in paths)
    alignment = ctc_alignment(scores, row)
    assert alignment.log_probability == pytest.approx(best, abs=1e-4)
    path = np.zeros(num_frames, dtype=int)
    for span in alignment.spans:
        path[span.start : span.end] = span.symbol
    assert _collapsed(tuple(path)) == symbols
    assert float(scores[np.arange(num_frames), path].sum()) == pytest.approx(best, abs=1e-4)


def test_certain_frames_give_their_own_spans() -> None:
    truth = [0, 0, 3, 3, 3, 1, 0, 1, 1, 2]
    scores = np.where(np.eye(4)[truth] > 0, 0.0, -9.0).astype(np.float32)
    spans = ctc_alignment(scores, np.array([3, 1, 1, 2])).spans
    assert [(span.symbol, span.start, span.end) for span in spans] == [(3, 2, 5), (1, 5, 6), (1, 7, 9), (2, 9, 10)]


def test_no_symbols_are_all_blanks() -> None:
    scores = _log_probabilities(0, 4, 3)
    alignment = ctc_alignment(scores, np.zeros(0, dtype=np.int64))
    assert alignment.spans == ()
    assert alignment.log_probability == pytest.approx(float(scores[:, 0].sum()), abs=1e-5)
