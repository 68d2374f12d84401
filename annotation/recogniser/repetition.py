"""Loops that a decoder falls into: the same words again and again, which nobody sang."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from levo.song.timing import TimedWord


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """A row of at most `max_words` words, said more than `max_times` times without a pause, is a loop if it is fast.

    Choruses repeat whole lines too: they take their time. A loop's words last below `min_word_s` on average, or every
    round of it is as long as the round before to `jitter_s`.
    """

    max_words: int = 12
    max_times: int = 4
    min_word_s: float = 0.08
    jitter_s: float = 0.021


@dataclass(frozen=True, slots=True)
class CutWords:
    """The words that stay, and how many were cut."""

    words: tuple[TimedWord, ...]
    num_cut: int


def without_loops(words: Sequence[TimedWord], limits: LoopLimits | None = None) -> CutWords:
    """The words with each loop's first round alone; the shortest row that repeats is the one that counts."""
    limits = limits or LoopLimits()
    kept: list[TimedWord] = []
    place = 0
    while place < len(words):
        length, times = _loop_at(words, place, limits)
        kept += words[place : place + length]
        place += length * times
    return CutWords(tuple(kept), len(words) - len(kept))


def _loop_at(words: Sequence[TimedWord], place: int, limits: LoopLimits) -> tuple[int, int]:
    """The row that loops from here on, as its length and how often it is said; one word once where none does."""
    for length in range(1, limits.max_words + 1):
        times = _num_times(words, place, length)
        if times > limits.max_times and _is_machine(words[place : place + length * times], length, limits):
            return length, times
    return 1, 1


def _num_times(words: Sequence[TimedWord], place: int, length: int) -> int:
    row = [word.word for word in words[place : place + length]]
    times = 1
    while [word.word for word in words[place + times * length : place + (times + 1) * length]] == row:
        times += 1
    return times


def _is_machine(words: Sequence[TimedWord], length: int, limits: LoopLimits) -> bool:
    starts = [word.start_s for word in words[::length]]
    rounds_s = [after - before for before, after in pairwise(starts)]
    is_fast = (words[-1].end_s - words[0].start_s) / len(words) < limits.min_word_s
    return is_fast or max(rounds_s) - min(rounds_s) <= limits.jitter_s
