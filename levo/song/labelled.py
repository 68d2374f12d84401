"""A song whose stems, phonemes, sections and style are known: what codecs, recognisers and judges are fitted on."""

from dataclasses import dataclass

from levo.song.description import Description
from levo.song.lyrics import Lyrics
from levo.song.timing import TimedPhoneme, TimedSection, TimedWord
from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSong:
    """One song with its truth; the waveforms share one rate and one length, and vocal + accompaniment = mixture."""

    song_id: str
    vocal: Waveform
    accompaniment: Waveform
    mixture: Waveform
    lyrics: Lyrics
    description: Description
    words: tuple[TimedWord, ...]
    phonemes: tuple[TimedPhoneme, ...]
    sections: tuple[TimedSection, ...]
    singer: str
    tempo_bpm: float
