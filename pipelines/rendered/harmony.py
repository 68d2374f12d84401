"""Scales, chords and progressions: what may sound together in a key."""

from dataclasses import dataclass

import numpy as np

from levo.song.structure import StructureTag
from pipelines.rendered.world import Mood

_SCALES = {Mood.BRIGHT: (0, 2, 4, 5, 7, 9, 11), Mood.DARK: (0, 2, 3, 5, 7, 8, 10)}

_PROGRESSIONS: dict[Mood, dict[str, tuple[tuple[int, ...], ...]]] = {
    Mood.BRIGHT: {
        "verse": ((0, 5, 3, 4), (0, 3, 0, 4), (0, 4, 5, 3)),
        "chorus": ((3, 4, 0, 5), (3, 0, 4, 0)),
    },
    Mood.DARK: {
        "verse": ((0, 5, 2, 6), (0, 3, 0, 4), (0, 6, 5, 4)),
        "chorus": ((5, 6, 0, 2), (3, 6, 0, 0)),
    },
}
"""Scale degrees of a bar's chord, from 0 = tonic."""


@dataclass(frozen=True, slots=True)
class Chord:
    """A triad, as pitch classes from its root up."""

    pitch_classes: tuple[int, ...]

    @property
    def root(self) -> int:
        """The root's pitch class."""
        return self.pitch_classes[0]

    def voiced(self, lowest_pitch: int) -> tuple[int, ...]:
        """The triad's MIDI pitches, each the lowest at or above `lowest_pitch`."""
        return tuple(sorted(pitch_at_or_above(lowest_pitch, name) for name in self.pitch_classes))


def scale_pitch_classes(tonic: int, mood: Mood) -> tuple[int, ...]:
    """The seven pitch classes of a major (bright) or natural minor (dark) key, from its tonic up."""
    return tuple((tonic + step) % 12 for step in _SCALES[mood])


def triad(tonic: int, mood: Mood, degree: int) -> Chord:
    """The triad on a degree of the scale (0 = tonic), made of notes of the key."""
    scale = scale_pitch_classes(tonic, mood)
    return Chord(tuple(scale[(degree + third) % 7] for third in (0, 2, 4)))


def draw_progression(rng: np.random.Generator, mood: Mood, tag: StructureTag) -> tuple[int, ...]:
    """Degrees of a section's bars; choruses have progressions of their own."""
    progressions = _PROGRESSIONS[mood]["chorus" if tag is StructureTag.CHORUS else "verse"]
    return progressions[int(rng.integers(len(progressions)))]


def draw_melody(
    rng: np.random.Generator, chord: Chord, scale: tuple[int, ...], pitches: range, num_beats: int
) -> tuple[int, ...]:
    """One pitch a beat: chord tones on strong beats, sometimes a passing note of the scale on weak ones, no wide leaps.

    Raises `ValueError` where the range holds no chord tone.
    """
    tones = [pitch for pitch in pitches if pitch % 12 in chord.pitch_classes]
    steps = [pitch for pitch in pitches if pitch % 12 in scale]
    if not tones:
        raise ValueError(f"no tone of chord {chord.pitch_classes} in {pitches}; a range of 7 semitones has one")
    melody = [tones[int(rng.integers(len(tones)))]]
    while len(melody) < num_beats:
        passing = len(melody) % 2 == 1 and rng.random() < 0.4
        near = [pitch for pitch in (steps if passing else tones) if abs(pitch - melody[-1]) <= 5]
        choice = near or tones
        melody.append(choice[int(rng.integers(len(choice)))])
    return tuple(melody)


def pitch_at_or_above(lowest_pitch: int, pitch_class: int) -> int:
    """The lowest MIDI pitch of a pitch class that is not below `lowest_pitch`."""
    return lowest_pitch + (pitch_class - lowest_pitch) % 12
