"""Candidates decoded to one sound, whose stems a separator has to find, as it has to for real recordings.

The mixed stream alone gives no stems. To tell what the dual tracks are worth, the songs decoded from both tracks go
through the same separator, so that its errors stand on both sides.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np

from annotation.separation.protocol import Separator
from levo.codec.protocol import Codec
from levo.codec.stems import Stems
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.records import LabelSource, TokenizedSong
from pipelines.flow.model_source import ModelSource
from pipelines.flow.stage import Stage, Work
from pipelines.loop.records import CandidateRow
from pipelines.loop.scoring import decoded_song

_SHORTEST_S = 0.5


class DecodedFrom(StrEnum):
    """Which streams a song's sound is made from."""

    MIXED = "mixed"
    TRACKS = "tracks"


@dataclass(frozen=True)
class DecodeAndSeparate(Stage[CandidateRow, TokenizedSong]):
    """A candidate's tokens as one sound, and its stems by the corpus's separator."""

    name: ClassVar[str] = "separated"
    version: ClassVar[str] = "1"
    places: AudioPlaces
    codec: ModelSource[Codec]
    separator: ModelSource[Separator]
    source: DecodedFrom

    def open(self) -> Work[CandidateRow, TokenizedSong]:
        """Load codec and separator."""
        reader, store = self.places.reader(), self.places.store()
        codec, separator = self.codec.open(), self.separator.open()

        def decode(row: CandidateRow) -> TokenizedSong:
            tokens = TokenGrid(row.codes)
            is_mixed = self.source is DecodedFrom.MIXED
            mixture = codec.decode_mixed(tokens) if is_mixed else codec.decode(tokens).mixture
            return decoded_song(row, separated(mixture, separator), LabelSource.FLOW, reader, store)

        return lambda batch: [decode(row) for row in batch]


def separated(mixture: Waveform, separator: Separator) -> Stems:
    """A mixture with its separated stems; one that is too short for a separator's window is silent after its end."""
    length, rate = mixture.num_samples, mixture.sample_rate_hz
    missing = max(0, round(_SHORTEST_S * rate) - length)
    stems = separator.separate(Waveform(np.pad(mixture.samples, ((0, 0), (0, missing))), rate))
    vocal, accompaniment = (Waveform(stem.samples[:, :length], rate) for stem in (stems.vocal, stems.accompaniment))
    return Stems(vocal, accompaniment, mixture)
