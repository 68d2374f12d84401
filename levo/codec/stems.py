"""The stems of a song: its vocal, its accompaniment, and the mixture of the two."""

from dataclasses import dataclass

from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class Stems:
    """Three waveforms of one song; vocal + accompaniment = mixture."""

    vocal: Waveform
    accompaniment: Waveform
    mixture: Waveform


def stems_of(song: LabelledSong) -> Stems:
    """The true stems of a song that has them."""
    return Stems(song.vocal, song.accompaniment, song.mixture)
