"""Forced alignment: which frames each of a known row of symbols fills."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from levo.song.arrays import Array


@dataclass(frozen=True, slots=True)
class SymbolSpan:
    """Frames `start` ... `end` - 1, all of one symbol."""

    symbol: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best path: a span for each symbol in order, and the path's log probability."""

    spans: tuple[SymbolSpan, ...]
    log_probability: float


def ctc_alignment(
    log_probabilities: Float32[Array, "frame symbol"], symbols: Int[Array, " position"], blank: int = 0
) -> Alignment:
    """The likeliest path of CTC (Graves et al., 2006) that collapses to the given symbols, by Viterbi's algorithm.

    Every symbol takes one frame or more; blanks may stand between any two and must stand between equal ones.
    Raises `ValueError` where there are too few frames for that.
    """
    num_frames = log_probabilities.shape[0]
    num_repeats = int((symbols[1:] == symbols[:-1]).sum())
    if num_frames < symbols.size + num_repeats:
        raise ValueError(f"{num_frames} frames for {symbols.size} symbols with {num_repeats} repeats; expected as many")
    states = np.full(2 * symbols.size + 1, blank)
    states[1::2] = symbols
    can_skip = np.zeros(states.size, dtype=bool)
    can_skip[3::2] = symbols[1:] != symbols[:-1]
    path, log_probability = _best_path(log_probabilities, states, can_skip)
    spans = []
    for position, symbol in enumerate(symbols):
        frames = np.flatnonzero(path == 2 * position + 1)
        spans.append(SymbolSpan(int(symbol), int(frames[0]), int(frames[-1]) + 1))
    return Alignment(tuple(spans), log_probability)


def _best_path(log_probabilities: Array, states: Array, can_skip: Array) -> tuple[Array, float]:
    """State of each frame; a step stays, goes on by one, or by two where that skips a blank that may be skipped.

    What is kept for each frame and state is a byte: 50 MB for four minutes of lyrics in letters.
    """
    num_frames, num_states = log_probabilities.shape[0], states.size
    if num_frames == 0:
        return np.zeros(0, dtype=np.int64), 0.0
    steps = np.zeros((num_frames, num_states), dtype=np.int8)
    total = np.full(num_states, -np.inf)
    total[:2] = log_probabilities[0, states[:2]]
    choices = np.full((3, num_states), -np.inf)
    for frame in range(1, num_frames):
        choices[0] = total
        choices[1, 1:] = total[:-1]
        choices[2, 2:] = np.where(can_skip[2:], total[:-2], -np.inf)
        steps[frame] = choices.argmax(axis=0)
        total = choices.max(axis=0) + log_probabilities[frame, states]
    last = max(range(max(0, num_states - 2), num_states), key=lambda state: total[state])
    path = np.empty(num_frames, dtype=np.int64)
    path[-1] = last
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = path[frame] - steps[frame, path[frame]]
    return path, float(total[last])
