"""Song forms: which sections a song has, in what order, and how many beats each of their bars takes."""

from dataclasses import dataclass

import numpy as np

from levo.song.structure import StructureTag

_PICKUP_BEATS = 2
_LEAST_LONG_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class SectionShape:
    """A section before its notes: its kind and the beats of each of its bars."""

    tag: StructureTag
    bars: tuple[int, ...]

    @property
    def num_beats(self) -> int:
        """Beats in the section."""
        return sum(self.bars)


def draw_short_form(rng: np.random.Generator, beats_per_bar: int, max_beats: int) -> tuple[SectionShape, ...]:
    """A verse of two bars and a chorus of one or two, and where they fit mostly two beats more without singing."""
    bars_that_fit = max_beats // beats_per_bar
    if bars_that_fit < 3:
        raise ValueError(f"{max_beats} beats hold {bars_that_fit} bars of {beats_per_bar}; a short song needs 3")
    num_chorus_bars = int(rng.integers(1, min(bars_that_fit - 2, 2) + 1))
    form = [_sung(StructureTag.VERSE, 2, beats_per_bar), _sung(StructureTag.CHORUS, num_chorus_bars, beats_per_bar)]
    spare = max_beats - _num_beats(form)
    place = int(rng.integers(4))
    if spare >= _PICKUP_BEATS and place < 3:
        tag = (StructureTag.INTRO_SHORT, StructureTag.INST_SHORT, StructureTag.OUTRO_SHORT)[place]
        form.insert(place, SectionShape(tag, (_PICKUP_BEATS,)))
    return tuple(form)


def draw_long_form(rng: np.random.Generator, beats_per_bar: int, max_beats: int) -> tuple[SectionShape, ...]:
    """Intro, verse, chorus, break, verse, chorus, outro, the verses as long as four fifths or more of the time allow.

    Either of intro and outro may be missing, the break and at least one of them never are.
    """
    ends = int(rng.integers(3))
    chorus = _sung(StructureTag.CHORUS, int(rng.integers(2, 4)), beats_per_bar)
    inst = SectionShape(StructureTag.INST_SHORT, (beats_per_bar,) * int(rng.integers(1, 3)))
    fixed = [chorus, inst, chorus]
    if ends != 1:
        fixed.insert(0, SectionShape(StructureTag.INTRO_SHORT, (beats_per_bar,) * int(rng.integers(1, 3))))
    if ends != 2:
        fixed.append(SectionShape(StructureTag.OUTRO_SHORT, (beats_per_bar,)))
    verse_bars = (max_beats - _num_beats(fixed)) // beats_per_bar
    least_bars = -(-(round(_LEAST_LONG_SHARE * max_beats) - _num_beats(fixed)) // beats_per_bar)
    if verse_bars < 2:
        raise ValueError(f"{max_beats} beats leave {verse_bars} bars for two verses; give a long song more frames")
    total = int(rng.integers(max(2, min(least_bars, verse_bars)), verse_bars + 1))
    first = int(rng.integers(total // 2, (total + 1) // 2 + 1))
    place = fixed.index(chorus)
    return (
        *fixed[:place],
        _sung(StructureTag.VERSE, first, beats_per_bar),
        chorus,
        inst,
        _sung(StructureTag.VERSE, total - first, beats_per_bar),
        *fixed[place + 2 :],
    )


def _num_beats(form: list[SectionShape]) -> int:
    return sum(shape.num_beats for shape in form)


def _sung(tag: StructureTag, num_bars: int, beats_per_bar: int) -> SectionShape:
    return SectionShape(tag, (beats_per_bar,) * num_bars)
