"""A song's plan: everything about it before it sounds, drawn from its id and seed."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from levo.song.description import Description
from levo.song.digest import digest_json
from levo.song.lyrics import Lyrics, Section
from levo.song.structure import StructureTag
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.rendered.form import SectionShape, draw_long_form, draw_short_form
from pipelines.rendered.harmony import Chord, draw_melody, draw_progression, scale_pitch_classes, triad
from pipelines.rendered.world import DRUMS_TAG, NO_DRUMS_TAG, Instrument, Mood, Singer, Tempo, WorldConfig

_SECTION_RANGE_SEMITONES = 8
_Option = TypeVar("_Option")


@dataclass(frozen=True, slots=True)
class SongStyle:
    """What two songs of one style share."""

    singer: Singer
    tempo: Tempo
    instrument: Instrument
    mood: Mood
    has_drums: bool
    tonic: int
    beats_per_bar: int

    @property
    def description(self) -> Description:
        """The tags that name this style: voice, tempo, instrument, mood, drums."""
        drums = DRUMS_TAG if self.has_drums else NO_DRUMS_TAG
        return Description((self.singer.voice_tag, self.tempo.value, self.instrument.value, self.mood.value, drums))


@dataclass(frozen=True, slots=True)
class PlannedBar:
    """One bar: a chord, a melody note a beat, and a word a beat where it is sung."""

    chord: Chord
    melody: tuple[int, ...]
    words: tuple[str, ...] = ()

    @property
    def num_beats(self) -> int:
        """Beats in the bar."""
        return len(self.melody)


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """A section and its bars; a bar is a line of the lyrics where the section is sung."""

    tag: StructureTag
    bars: tuple[PlannedBar, ...]

    @property
    def num_beats(self) -> int:
        """Beats in the section."""
        return sum(bar.num_beats for bar in self.bars)


@dataclass(frozen=True, slots=True)
class SungNote:
    """One word on one beat (counted from the song's start) at a MIDI pitch."""

    beat: int
    word: str
    pitch: int


@dataclass(frozen=True, slots=True)
class SongPlan:
    """A whole song, ready to be rendered."""

    song_id: str
    seed: int
    style: SongStyle
    sections: tuple[PlannedSection, ...]

    @property
    def lyrics(self) -> Lyrics:
        """What is sung, section by section."""
        return Lyrics(
            tuple(
                Section(section.tag, tuple(" ".join(bar.words) for bar in section.bars if bar.words))
                for section in self.sections
            )
        )

    @property
    def description(self) -> Description:
        """What would be asked for."""
        return self.style.description

    @property
    def num_beats(self) -> int:
        """Beats in the song."""
        return sum(section.num_beats for section in self.sections)

    @property
    def num_frames(self) -> int:
        """Token frames in the song: beats times the tempo's whole number of frames."""
        return self.num_beats * self.style.tempo.frames_per_beat

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / FRAME_RATE_HZ

    @property
    def sung_notes(self) -> tuple[SungNote, ...]:
        """Every sung note in order."""
        notes: list[SungNote] = []
        start = 0
        for section in self.sections:
            for bar in section.bars:
                sung = zip(bar.words, bar.melody, strict=False)
                notes += [SungNote(start + step, word, pitch) for step, (word, pitch) in enumerate(sung)]
                start += bar.num_beats
        return tuple(notes)


def seeded_generator(*key: str | int) -> np.random.Generator:
    """A random generator that depends on these values alone."""
    return np.random.default_rng(int(digest_json(list(key)), 16))


def draw_style(rng: np.random.Generator, config: WorldConfig) -> SongStyle:
    """A style with every attribute drawn uniformly."""

    return SongStyle(
        singer=_one_of(rng, config.singers),
        tempo=_one_of(rng, config.tempi),
        instrument=_one_of(rng, config.instruments),
        mood=_one_of(rng, tuple(Mood)),
        has_drums=_one_of(rng, (True, False)),
        tonic=_one_of(rng, config.tonics),
        beats_per_bar=_one_of(rng, config.beats_per_bar),
    )


def plan_song(
    song_id: str, seed: int, config: WorldConfig, *, long: bool = False, style: SongStyle | None = None
) -> SongPlan:
    """Draw a song: the same id, seed and config give the same song. A given style is kept, the rest is drawn."""
    style = style or draw_style(seeded_generator("style", song_id, seed), config)
    rng = seeded_generator("song", song_id, seed)
    draw_form, max_frames = (draw_long_form, config.max_long_frames) if long else (draw_short_form, config.max_frames)
    form = draw_form(rng, style.beats_per_bar, max_frames // style.tempo.frames_per_beat)
    themes = _draw_themes(rng, form, style)
    deck = _Deck(rng, config.words)
    sections: list[PlannedSection] = []
    for shape in form:
        sung_before = next((section for section in sections if section.tag is StructureTag.CHORUS is shape.tag), None)
        sections.append(sung_before or _plan_section(shape, themes[shape.tag], deck))
    return SongPlan(song_id, seed, style, tuple(sections))


def _draw_themes(
    rng: np.random.Generator, form: tuple[SectionShape, ...], style: SongStyle
) -> dict[StructureTag, tuple[PlannedBar, ...]]:
    """Chords and melody by kind of section, so that what returns sounds alike; as many bars as its longest needs."""
    longest: dict[StructureTag, SectionShape] = {}
    for shape in form:
        if shape.tag not in longest or len(shape.bars) > len(longest[shape.tag].bars):
            longest[shape.tag] = shape
    return {tag: _draw_theme(rng, shape, style) for tag, shape in longest.items()}


def _draw_theme(rng: np.random.Generator, shape: SectionShape, style: SongStyle) -> tuple[PlannedBar, ...]:
    pitches = style.singer.pitches
    high = shape.tag is StructureTag.CHORUS
    window = pitches[-_SECTION_RANGE_SEMITONES:] if high else pitches[:_SECTION_RANGE_SEMITONES]
    scale = scale_pitch_classes(style.tonic, style.mood)
    progression = draw_progression(rng, style.mood, shape.tag)
    chords = [triad(style.tonic, style.mood, progression[bar % len(progression)]) for bar in range(len(shape.bars))]
    return tuple(
        PlannedBar(chord, draw_melody(rng, chord, scale, window, num_beats))
        for chord, num_beats in zip(chords, shape.bars, strict=True)
    )


class _Deck:
    """Words dealt in random order, none again before all others: what a song's lines are made of."""

    def __init__(self, rng: np.random.Generator, words: tuple[str, ...]) -> None:
        self._rng, self._words = rng, words
        self._left: list[str] = []

    def deal(self, num_words: int) -> tuple[str, ...]:
        """The next words."""
        dealt: list[str] = []
        for _ in range(num_words):
            if not self._left:
                self._left = [self._words[place] for place in self._rng.permutation(len(self._words))]
            dealt.append(self._left.pop())
        return tuple(dealt)


def _plan_section(shape: SectionShape, theme: tuple[PlannedBar, ...], deck: _Deck) -> PlannedSection:
    bars = theme[: len(shape.bars)]
    if not shape.tag.is_sung:
        return PlannedSection(shape.tag, bars)
    return PlannedSection(shape.tag, tuple(replace(bar, words=deck.deal(bar.num_beats)) for bar in bars))


def _one_of(rng: np.random.Generator, options: tuple[_Option, ...]) -> _Option:
    return options[int(rng.integers(len(options)))]
