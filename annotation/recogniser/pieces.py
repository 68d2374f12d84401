"""What the recogniser is trained on: songs cut between words, in each way that they are heard, with their truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.network import BLANK, NetworkConfig, heard_levels
from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.timing import TimedPhoneme
from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of one song: its levels as heard each way, its phonemes in order, and which sounds in each frame."""

    levels: tuple[Float32[Array, "frame band"], ...]
    symbols: Int64[Array, " phoneme"]
    sounding: Int64[Array, " frame"]

    @property
    def num_frames(self) -> int:
        """Frames in each hearing."""
        return int(self.sounding.size)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time."""

    start_s: float
    end_s: float


def cut_song(
    song: LabelledSong, hearings: Sequence[Waveform], lexicon: Lexicon, network: NetworkConfig, max_piece_s: float
) -> list[Piece]:
    """The song in pieces no longer than `max_piece_s`; the hearings share its times."""
    rate_hz = network.hop_rate_hz
    levels = [heard_levels(mono_at_rate(item, network.sample_rate_hz), network) for item in hearings]
    num_frames = min(rows.shape[0] for rows in levels)
    symbol_of = {name: symbol for symbol, name in enumerate(lexicon.phonemes, start=1)}
    pieces = []
    for span in spans_between_words(song, num_frames / rate_hz, max_piece_s):
        start, end = round(span.start_s * rate_hz), min(round(span.end_s * rate_hz), num_frames)
        inside = [
            item for item in song.phonemes if span.start_s - 1e-6 <= item.start_s and item.end_s <= span.end_s + 1e-6
        ]
        symbols = np.array([symbol_of[item.phoneme] for item in inside], dtype=np.int64)
        sounding = sounding_symbols(inside, symbol_of, start, end, rate_hz)
        pieces.append(Piece(tuple(rows[start:end] for rows in levels), symbols, sounding))
    return pieces


def spans_between_words(song: LabelledSong, duration_s: float, max_piece_s: float) -> list[Span]:
    """Spans that cover the song; each ends at a word's end or, where nothing is sung, where it is full."""
    spans: list[Span] = []
    start_s = 0.0
    while start_s + max_piece_s < duration_s:
        limit_s = start_s + max_piece_s
        is_sung = any(word.start_s < limit_s < word.end_s for word in song.words)
        ends_s = [word.end_s for word in song.words if start_s < word.end_s <= limit_s]
        spans.append(Span(start_s, max(ends_s) if is_sung and ends_s else limit_s))
        start_s = spans[-1].end_s
    return [*spans, Span(start_s, duration_s)]


def sounding_symbols(
    phonemes: Sequence[TimedPhoneme], symbol_of: Mapping[str, int], start: int, end: int, hop_rate_hz: int
) -> Int64[Array, " frame"]:
    """The phoneme at the centre of each of the frames `start` ... `end` - 1."""
    centres_s = (np.arange(start, end) + 0.5) / hop_rate_hz
    sounding = np.full(end - start, BLANK, dtype=np.int64)
    for item in phonemes:
        sounding[(centres_s >= item.start_s) & (centres_s < item.end_s)] = symbol_of[item.phoneme]
    return sounding
