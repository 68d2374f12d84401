"""Two recognisers' opinions of one vocal, line by line: where they agree in sound a line is trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from annotation.recogniser.protocol import Transcript
from levo.song.edits import edit_distances
from levo.song.timing import TimedPhoneme, TimedWord

LINE_PAUSE_S = 0.5
MIN_AGREEMENT = 0.7


@dataclass(frozen=True, slots=True)
class HeardLine:
    """A line as the first recogniser heard it (or the second, where the first heard nothing), and how far to trust it.

    `agreement` is 1 - edits / phonemes of the longer of the two rows within the line's time, from 0 to 1; it is 0 for
    words that have no phonemes, which nothing can be compared with.
    """

    words: tuple[str, ...]
    start_s: float
    end_s: float
    agreement: float
    needs_review: bool


def lines_of(words: Sequence[TimedWord], pause_s: float = LINE_PAUSE_S) -> list[tuple[TimedWord, ...]]:
    """Words in lines: a line ends where nothing is sung for at least `pause_s`."""
    gaps_s = [after.start_s - before.end_s for before, after in pairwise(words)]
    starts = [place for place, gap_s in enumerate(gaps_s, 1) if gap_s >= pause_s]
    edges = [0, *starts, len(words)]
    return [tuple(words[start:end]) for start, end in pairwise(edges) if end > start]


def consensus(
    first: Transcript, second: Transcript, *, pause_s: float = LINE_PAUSE_S, min_agreement: float = MIN_AGREEMENT
) -> tuple[HeardLine, ...]:
    """Every line that either heard, in order of time.

    Both must write phonemes in one notation. What the second heard between two lines of the first, and no line of the
    first covers, is a line of its own with agreement 0: someone heard something that the other did not.
    """
    if not 0 <= min_agreement <= 1:
        raise ValueError(f"min_agreement is {min_agreement}; expected 0 ... 1")
    lines = [_judged(line, first, second, min_agreement) for line in lines_of(first.words, pause_s)]
    spans = [(line.start_s, line.end_s) for line in lines]
    missed = [
        word for word in second.words if not any(word.start_s < end and start < word.end_s for start, end in spans)
    ]
    for line in lines_of(missed, pause_s):
        names = tuple(word.word for word in line)
        lines.append(HeardLine(names, line[0].start_s, line[-1].end_s, 0.0, needs_review=min_agreement > 0.0))
    return tuple(sorted(lines, key=lambda line: (line.start_s, line.end_s)))


def phoneme_agreement(one: Sequence[str], other: Sequence[str]) -> float:
    """1 - edits / length of the longer row; two empty rows agree."""
    longest = max(len(one), len(other))
    return 1.0 if longest == 0 else 1.0 - int(edit_distances(one, other)[-1, -1]) / longest


def _judged(line: tuple[TimedWord, ...], first: Transcript, second: Transcript, min_agreement: float) -> HeardLine:
    start_s, end_s = line[0].start_s, line[-1].end_s
    own, other = (_within(transcript.phonemes, start_s, end_s) for transcript in (first, second))
    agreement = phoneme_agreement(own, other) if own else 0.0
    names = tuple(word.word for word in line)
    return HeardLine(names, start_s, end_s, agreement, needs_review=agreement < min_agreement)


def _within(phonemes: Sequence[TimedPhoneme], start_s: float, end_s: float) -> list[str]:
    """The phonemes whose middle lies in a span; words that a recogniser gives no length have theirs at its edges."""
    return [item.phoneme for item in phonemes if start_s <= (item.start_s + item.end_s) / 2 <= end_s]
