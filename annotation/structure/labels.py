"""What each stretch of a song is: instrumental ones by place, sung ones by state, intensity and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annotation.structure.activity import two_level_threshold
from annotation.structure.frames import SongFrames
from annotation.structure.protocol import SectionKind

_LEAST_CONTRAST = 1.0
_LEAST_SUNG_FOR_BRIDGE = 5
_LEAST_LIKENESS = 0.7


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames from `start` up to `end`; `is_high` where the song's sung states are known, and this is the higher one."""

    start: int
    end: int
    is_sung: bool
    is_silent: bool
    is_high: bool | None = None


def label_segments(segments: Sequence[Segment], frames: SongFrames) -> tuple[tuple[Segment, SectionKind], ...]:
    """The kind of each segment."""
    sung = [segment for segment in segments if segment.is_sung]
    sung_kinds = dict(zip(sung, _sung_kinds(sung, frames), strict=True))
    sounding = [segment for segment in segments if not segment.is_silent]
    labelled = []
    for segment in segments:
        if segment.is_silent:
            kind = SectionKind.SILENCE
        elif segment.is_sung:
            kind = sung_kinds[segment]
        elif segment == sounding[0] and len(sounding) > 1:
            kind = SectionKind.INTRO
        elif segment == sounding[-1] and len(sounding) > 1:
            kind = SectionKind.OUTRO
        else:
            kind = SectionKind.INST
        labelled.append((segment, kind))
    return tuple(labelled)


def _sung_kinds(sung: Sequence[Segment], frames: SongFrames) -> list[SectionKind]:
    """Choruses are the higher of two states, or without states the more intense of two groups; bridges come once."""
    if sung and all(segment.is_high is not None for segment in sung):
        kinds = [SectionKind.CHORUS if segment.is_high else SectionKind.VERSE for segment in sung]
    else:
        kinds = _kinds_by_intensity(sung, frames)
    for place in _bridges(sung, frames):
        kinds[place] = SectionKind.BRIDGE
    return kinds


def _kinds_by_intensity(sung: Sequence[Segment], frames: SongFrames) -> list[SectionKind]:
    kinds = [SectionKind.VERSE] * len(sung)
    intensity = np.array([_intensity(segment, frames) for segment in sung])
    threshold = two_level_threshold(intensity) if len(sung) > 1 else np.inf
    intense = intensity > threshold
    if intense.any() and intensity[intense].mean() - intensity[~intense].mean() >= _LEAST_CONTRAST:
        kinds = [SectionKind.CHORUS if strong else SectionKind.VERSE for strong in intense]
    return kinds


def _bridges(sung: Sequence[Segment], frames: SongFrames) -> list[int]:
    """Inner sung segments whose chords are unlike those of every other one, in songs with enough of them."""
    if len(sung) < _LEAST_SUNG_FOR_BRIDGE:
        return []
    chords = np.stack([frames.chords[segment.start : segment.end].mean(axis=0) for segment in sung])
    chords -= chords.mean(axis=1, keepdims=True)
    chords /= np.maximum(np.linalg.norm(chords, axis=1, keepdims=True), 1e-9)
    likeness = chords @ chords.T - 2 * np.eye(len(sung))
    return [place for place in range(1, len(sung) - 1) if likeness[place].max() < _LEAST_LIKENESS]


def _intensity(segment: Segment, frames: SongFrames) -> float:
    """Density of onsets and level of the accompaniment."""
    span = slice(segment.start, segment.end)
    return float(frames.onsets_db[span].mean() + 0.5 * frames.timbre_db[span].mean())
