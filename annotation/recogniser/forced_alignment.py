"""Known lyrics to times: words to the symbols of a CTC model, its best path through a vocal, and back to the words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Int

from annotation.recogniser.alignment import SymbolSpan, ctc_alignment
from levo.song.arrays import Array
from levo.song.timing import spread_evenly
from levo.song.waveform import Waveform

Spelling = Callable[[Sequence[str]], Sequence[Sequence[str]]]
"""Words, read together, to the symbols of each; a word may have none."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameScores:
    """What a CTC model hears in a vocal, from 0 s on: log probabilities of the `symbols`, one of them none at all."""

    log_probabilities: Float32[Array, "frame symbol"]
    symbols: tuple[str, ...]
    frame_rate_hz: float
    blank: int = 0


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A word of the lyrics and when it is sung.

    `confidence`, from 0 to 1, compares words of one aligner only; for CTC it is the geometric mean of the path's
    probabilities in the word's frames, those between its symbols too. A word that has no symbols stands in the gap
    between its neighbours, and its confidence is None.
    """

    word: str
    start_s: float
    end_s: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class AlignedLine:
    """A line of the lyrics, from its first word's start to its last one's end; one without words has no length."""

    words: tuple[AlignedWord, ...]
    start_s: float
    end_s: float


class LyricsAligner(Protocol):
    """A vocal and what is sung in it -> when."""

    @property
    def digest(self) -> str:
        """Names the weights and settings; equal digests align alike."""
        ...

    def align(self, vocal: Waveform, lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
        """The lines, given as words, with their times.

        Raises `ValueError` for empty or non-finite audio, and for words that cannot all be sung in it.
        """
        ...


def align_lyrics(scores: FrameScores, lines: Sequence[Sequence[str]], spell: Spelling) -> tuple[AlignedLine, ...]:
    """Each line's words on the likeliest of CTC's paths that sings them all in order.

    Raises `ValueError` where a word is spelled with symbols that the model has not, where no word has any, or where
    the vocal has too few frames for them all.
    """
    words = list(chain.from_iterable(lines))
    if not words:
        return in_lines({}, lines)
    row = _symbol_row(words, spell(words), scores.symbols)
    spans = ctc_alignment(scores.log_probabilities, row.symbols, scores.blank).spans
    sung = {
        place: _sung(words[place], [span for _, span in owned], scores)
        for place, owned in groupby(zip(row.owners, spans, strict=True), key=lambda pair: pair[0])
    }
    return in_lines(sung, lines)


def in_lines(sung: Mapping[int, AlignedWord], lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
    """The words that were aligned, each under its place among all words, put into their lines; the others fill gaps."""
    rest, aligned, end_s = iter(_gaps_filled(list(chain.from_iterable(lines)), sung)), list[AlignedLine](), 0.0
    for line in lines:
        own = tuple(islice(rest, len(line)))
        start_s, end_s = (own[0].start_s, own[-1].end_s) if own else (end_s, end_s)
        aligned.append(AlignedLine(own, start_s, end_s))
    return tuple(aligned)


@dataclass(frozen=True, slots=True, eq=False)
class _SymbolRow:
    """The symbols of all words, and which word each is of."""

    symbols: Int[Array, " position"]
    owners: tuple[int, ...]


def _symbol_row(words: Sequence[str], spelled: Sequence[Sequence[str]], names: Sequence[str]) -> _SymbolRow:
    column = {name: place for place, name in enumerate(names)}
    strange = sorted({name for word in spelled for name in word} - set(names))
    if strange:
        raise ValueError(f"symbols {strange} are not the model's; expected some of {list(names)}")
    pairs = [(column[name], place) for place, (_, word) in enumerate(zip(words, spelled, strict=True)) for name in word]
    if not pairs:
        raise ValueError(f"none of the words {list(words[:5])} ... has a symbol; expected one of {list(names)}")
    return _SymbolRow(np.array([symbol for symbol, _ in pairs]), tuple(place for _, place in pairs))


def _sung(word: str, spans: Sequence[SymbolSpan], scores: FrameScores) -> AlignedWord:
    start, end, rate = spans[0].start, spans[-1].end, scores.frame_rate_hz
    path = np.full(end - start, scores.blank)
    for span in spans:
        path[span.start - start : span.end - start] = span.symbol
    heard = scores.log_probabilities[np.arange(start, end), path]
    return AlignedWord(word, start / rate, end / rate, float(np.exp(heard.mean(dtype=np.float64))))


def _gaps_filled(words: Sequence[str], sung: Mapping[int, AlignedWord]) -> list[AlignedWord]:
    """All words; those that were not heard share the gap that they stand in, at either end of the song none."""
    filled: list[AlignedWord] = []
    first, last = (sung[min(sung)].start_s, sung[max(sung)].end_s) if sung else (0.0, 0.0)
    for is_sung, places in groupby(range(len(words)), key=lambda place: place in sung):
        group = list(places)
        if is_sung:
            filled += [sung[place] for place in group]
            continue
        start_s = filled[-1].end_s if filled else first
        end_s = sung[group[-1] + 1].start_s if group[-1] + 1 in sung else last
        parts = spread_evenly([words[place] for place in group], start_s, end_s)
        filled += [AlignedWord(*part, confidence=None) for part in parts]
    return filled
