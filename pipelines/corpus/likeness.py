"""Recordings that are the same sound, in a corpus or between a corpus and the songs that a model is evaluated on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt32

from annotation.spectrum.fingerprint import HOP_S, best_overlap
from levo.song.arrays import Array
from levo.song.lyrics import parse_lyrics

MAX_BIT_ERROR_RATE = 0.3
MIN_OVERLAP_S = 2.0
# A word that many songs share (silence, a held note) tells nothing, and would pair all with all.
_MAX_SONGS_A_WORD = 50
_MIN_SHARED_WORDS = 3
_TRIED_OFFSETS = 4

Fingerprints = Mapping[str, UInt32[Array, " word"]]


@dataclass(frozen=True, slots=True)
class SameSound:
    """Two songs that share a stretch: how long it is, where it begins in each, and the share of bits that differ."""

    first: str
    second: str
    overlap_s: float
    first_start_s: float
    second_start_s: float
    bit_error_rate: float


@dataclass(frozen=True, slots=True)
class SameLyrics:
    """A text that shares lines with a song's lyrics: the share of its distinct lines that occur there."""

    song: str
    text: str
    shared_lines: float


def same_sounds(songs: Fingerprints, others: Fingerprints | None = None) -> Iterator[SameSound]:
    """Every pair that shares `MIN_OVERLAP_S` or more: among the songs, or between them and others.

    Pairs come from words that both have in equal form (a recording keeps some words whole through another codec), at
    the offsets that most of these agree on; what counts is the bits of the whole overlap.
    """
    other_names = list(others or ())
    names = [*songs, *other_names]
    words = [*songs.values(), *(others or {}).values()]
    min_words = round(MIN_OVERLAP_S / HOP_S)
    for (one, two), offsets in sorted(_candidates(words, len(songs) if others is not None else None).items()):
        overlap = best_overlap(words[one], words[two], offsets, min_words)
        if overlap is not None and overlap.bit_error_rate <= MAX_BIT_ERROR_RATE:
            start = max(overlap.offset, 0)
            yield SameSound(
                names[one],
                names[two],
                overlap.num_words * HOP_S,
                start * HOP_S,
                (start - overlap.offset) * HOP_S,
                overlap.bit_error_rate,
            )


def same_lyrics(songs: Mapping[str, str], texts: Mapping[str, str], min_shared: float = 0.5) -> Iterator[SameLyrics]:
    """Texts of which at least a share of the lines is sung in a song, word for word."""
    places: dict[str, set[str]] = {}
    for song, lyrics in songs.items():
        for line in _lines(lyrics):
            places.setdefault(line, set()).add(song)
    for text, lyrics in texts.items():
        lines = _lines(lyrics)
        counts: dict[str, int] = {}
        for line in lines:
            for song in places.get(line, ()):
                counts[song] = counts.get(song, 0) + 1
        for song, count in sorted(counts.items()):
            if count >= min_shared * len(lines):
                yield SameLyrics(song, text, count / len(lines))


def _lines(lyrics: str) -> set[str]:
    lines = {" ".join(line.lower().split()) for section in parse_lyrics(lyrics).sections for line in section.lines}
    return {line for line in lines if line}


def _candidates(
    words: list[UInt32[Array, " word"]], first_other: int | None
) -> dict[tuple[int, int], Int64[Array, " offset"]]:
    """Pairs of songs with words in common, and the likeliest offsets of the second against the first."""
    if not any(map(len, words)):
        return {}
    values = np.concatenate(words)
    songs = np.repeat(np.arange(len(words)), [len(row) for row in words])
    frames = np.concatenate([np.arange(len(row)) for row in words])
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=values[order][:1] ^ 1)).tolist()
    votes: dict[tuple[int, int], list[int]] = {}
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        group = order[start:end]
        if values[group[0]] == 0 or len(set(songs[group].tolist())) > _MAX_SONGS_A_WORD:
            continue
        for place, one in enumerate(group):
            for two in group[place + 1 :]:
                pair = (int(songs[one]), int(songs[two]))
                across = first_other is None or (pair[0] < first_other <= pair[1])
                if pair[0] != pair[1] and across:
                    votes.setdefault(pair, []).append(int(frames[one] - frames[two]))
    return {pair: _commonest(offsets) for pair, offsets in votes.items() if len(offsets) >= _MIN_SHARED_WORDS}


def _commonest(offsets: list[int]) -> Int64[Array, " offset"]:
    values, counts = np.unique(offsets, return_counts=True)
    best: Int64[Array, " offset"] = values[np.argsort(-counts, kind="stable")[:_TRIED_OFFSETS]]
    return best
