"""Phoneme error rate: the edits that turn the asked-for phonemes into the heard ones, per phoneme asked for.

Conventions: rates are fractions and may exceed 1; an empty reference counts as one phoneme long, so that hearing
nothing is perfect (0) and each phoneme heard is one whole error. Where several cheapest alignments exist, the split
into substitutions, insertions and deletions follows the one that substitutes as late in the song as possible.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from levo.song.edits import edit_distances
from levo.song.scores import Score, missing_score


@dataclass(frozen=True, slots=True)
class PhonemeErrors:
    """Edits of the cheapest alignment of heard to asked-for phonemes."""

    num_substitutions: int
    num_insertions: int
    num_deletions: int
    num_reference: int

    @property
    def num_errors(self) -> int:
        """All edits: the Levenshtein distance."""
        return self.num_substitutions + self.num_insertions + self.num_deletions

    @property
    def rate(self) -> float:
        """Edits per reference phoneme."""
        return self.num_errors / max(1, self.num_reference)


@dataclass(frozen=True, slots=True)
class CorpusPhonemeErrors:
    """Errors of several songs: each song's own, and the sums."""

    songs: tuple[PhonemeErrors, ...]
    pooled: PhonemeErrors

    @property
    def mean_rate(self) -> float:
        """The mean of the songs' rates: every song counts the same, however long. NaN without songs."""
        return float(np.mean([song.rate for song in self.songs])) if self.songs else float("nan")


def phoneme_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Edits per reference phoneme between what was asked for and what was heard."""
    return phoneme_errors(reference, hypothesis).rate


def phoneme_error_score(reference: Sequence[str], hypothesis: Sequence[str]) -> Score:
    """The rate as a score; missing where the lyrics hold no phonemes, since then nothing could be sung wrong."""
    if not reference:
        return missing_score("no phonemes in the lyrics")
    return Score(phoneme_error_rate(reference, hypothesis))


def phoneme_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> PhonemeErrors:
    """Count the edits of one cheapest alignment."""
    kinds = [_kind(step) for step in _cheapest(reference, hypothesis) if not step.is_match]
    substitutions, insertions, deletions = (kinds.count(kind) for kind in ("substitution", "insertion", "deletion"))
    return PhonemeErrors(substitutions, insertions, deletions, len(reference))


def matched_places(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Places in both that one cheapest alignment puts together and that say the same, in order."""
    steps = [step for step in _cheapest(reference, hypothesis) if step.is_match]
    return tuple((step.row - 1, step.column - 1) for step in reversed(steps))


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of an alignment, taken backwards from the cell [row, column]."""

    row: int
    column: int
    takes_reference: bool
    takes_hypothesis: bool
    is_match: bool


def _kind(step: _Step) -> str:
    if step.takes_reference and step.takes_hypothesis:
        return "substitution"
    return "deletion" if step.takes_reference else "insertion"


def _cheapest(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[_Step]:
    distance = edit_distances(reference, hypothesis)
    row, column = len(reference), len(hypothesis)
    while row or column:
        cost = distance[row, column]
        same = bool(row and column and reference[row - 1] == hypothesis[column - 1])
        if row and column and cost == distance[row - 1, column - 1] + (not same):
            step = _Step(row, column, True, True, same)
        else:
            is_deletion = bool(row and cost == distance[row - 1, column] + 1)
            step = _Step(row, column, is_deletion, not is_deletion, False)
        yield step
        row, column = row - step.takes_reference, column - step.takes_hypothesis


def corpus_phoneme_errors(songs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> CorpusPhonemeErrors:
    """Errors of (reference, hypothesis) pairs, song by song and pooled."""
    each = tuple(phoneme_errors(reference, hypothesis) for reference, hypothesis in songs)
    pooled = PhonemeErrors(
        sum(song.num_substitutions for song in each),
        sum(song.num_insertions for song in each),
        sum(song.num_deletions for song in each),
        sum(song.num_reference for song in each),
    )
    return CorpusPhonemeErrors(each, pooled)
