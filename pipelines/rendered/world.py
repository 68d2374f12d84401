"""The embedded world's constants: its words, singers, tempi, instruments and the tags that name them."""

from dataclasses import dataclass
from enum import StrEnum

from levo.song.tokens import FRAME_RATE_HZ


class Tempo(StrEnum):
    """How long a beat is, as a tag."""

    SLOW = "slow"
    MEDIUM = "medium"
    FAST = "fast"

    @property
    def frames_per_beat(self) -> int:
        """Token frames in a beat."""
        return {Tempo.SLOW: 12, Tempo.MEDIUM: 10, Tempo.FAST: 8}[self]

    @property
    def bpm(self) -> float:
        """Beats a minute."""
        return 60 * FRAME_RATE_HZ / self.frames_per_beat


class Instrument(StrEnum):
    """What plays the chords."""

    PIANO = "piano"
    ORGAN = "organ"
    GUITAR = "guitar"
    STRINGS = "strings"


class Mood(StrEnum):
    """The mode, as a tag: bright is major and voiced high, dark is minor and voiced low."""

    BRIGHT = "bright"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Singer:
    """One voice: its tag, the espeak-ng voice it is made from, and its range in MIDI pitches, both ends included."""

    name: str
    voice_tag: str
    espeak_voice: str
    lowest_pitch: int
    highest_pitch: int

    @property
    def pitches(self) -> range:
        """Every pitch in the range, lowest first."""
        return range(self.lowest_pitch, self.highest_pitch + 1)


WORDS = (
    *("moon", "star", "light", "rain", "blue", "love", "wind", "sky", "dance", "free", "joy", "song"),
    *("bird", "cloud", "house", "shine", "young", "voice", "wish", "home", "snow", "dream", "heart", "red"),
)
"""One syllable each, any two at least two phonemes apart, all in the CMU dictionary."""

SINGERS = (
    Singer("low", "male", "en-us+m3", lowest_pitch=43, highest_pitch=54),
    Singer("high", "female", "en-us+f2", lowest_pitch=56, highest_pitch=67),
)

DRUMS_TAG = "drums"
NO_DRUMS_TAG = "no drums"

TAG_VOCABULARY: dict[str, tuple[str, ...]] = {
    "voice": ("female", "male"),
    "tempo": tuple(Tempo),
    "instrument": tuple(Instrument),
    "mood": tuple(Mood),
    "drums": (DRUMS_TAG, NO_DRUMS_TAG),
}
"""The tags of each attribute; a description lists one of each, in this order."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """What songs can be drawn from; everything that is not in a song's own plan."""

    words: tuple[str, ...] = WORDS
    singers: tuple[Singer, ...] = SINGERS
    tempi: tuple[Tempo, ...] = tuple(Tempo)
    instruments: tuple[Instrument, ...] = tuple(Instrument)
    tonics: tuple[int, ...] = (0, 2, 5, 7)
    """Pitch classes of the keys: C, D, F, G."""
    beats_per_bar: tuple[int, ...] = (3, 4)
    max_frames: int = 150
    max_long_frames: int = 750
    sample_rate_hz: int = 16000

    def __post_init__(self) -> None:
        if self.sample_rate_hz % FRAME_RATE_HZ:
            raise ValueError(f"{self.sample_rate_hz} Hz is no whole number of samples a frame at {FRAME_RATE_HZ} Hz")
        narrow = [singer.name for singer in self.singers if len(singer.pitches) < 12]
        if narrow:
            raise ValueError(f"singers {narrow} have less than an octave; verse and chorus need 12 semitones")

    @property
    def samples_per_frame(self) -> int:
        """Samples in one token frame."""
        return self.sample_rate_hz // FRAME_RATE_HZ
