"""Glitches: beats of an accompaniment that stutter, drop out, go off pitch or slip off the grid."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array

_GLITCHED_SHARE = 0.4
_LEAST_GLITCHES = 3
_FADE_SAMPLES = 48


class GlitchKind(StrEnum):
    """What goes wrong in a beat."""

    STUTTER = "stutter"
    DROPOUT = "dropout"
    DETUNED = "detuned"
    SLIPPED = "slipped"


@dataclass(frozen=True, slots=True)
class Glitch:
    """One spoilt beat, counted from the song's start.

    `amount` is the number of repeats of a stutter, the semitones of a detuning, and the share of a beat by which a slip
    comes late; a dropout has none.
    """

    kind: GlitchKind
    beat: int
    amount: float = 0.0


def draw_glitches(rng: np.random.Generator, num_beats: int) -> tuple[Glitch, ...]:
    """Glitches on two beats in five, at least three, in the order of their beats."""
    num_glitches = min(num_beats, max(_LEAST_GLITCHES, round(_GLITCHED_SHARE * num_beats)))
    beats = np.sort(rng.choice(num_beats, size=num_glitches, replace=False))
    return tuple(_draw_glitch(rng, int(beat)) for beat in beats)


def apply_glitches(
    accompaniment: Float32[Array, " sample"], glitches: tuple[Glitch, ...], samples_per_beat: int
) -> Float32[Array, " sample"]:
    """The accompaniment with each glitch's beat replaced; all other beats are kept to the bit."""
    glitched = accompaniment.copy()
    for glitch in glitches:
        start = glitch.beat * samples_per_beat
        if not 0 <= start < len(accompaniment):
            raise ValueError(f"glitch on beat {glitch.beat} of {len(accompaniment) / samples_per_beat:g}")
        glitched[start : start + samples_per_beat] = spoil_beat(accompaniment[start : start + samples_per_beat], glitch)
    return glitched


def spoil_beat(beat: Float32[Array, " sample"], glitch: Glitch) -> Float32[Array, " sample"]:
    """One beat as the glitch leaves it, as long as before."""
    num_samples = len(beat)
    match glitch.kind:
        case GlitchKind.DROPOUT:
            spoilt = np.zeros_like(beat)
            spoilt[:_FADE_SAMPLES] = beat[:_FADE_SAMPLES] * np.linspace(1, 0, _FADE_SAMPLES, dtype=np.float32)
        case GlitchKind.STUTTER:
            piece = beat[: -(-num_samples // int(glitch.amount))]
            spoilt = np.tile(piece, int(glitch.amount))[:num_samples]
        case GlitchKind.DETUNED:
            position = np.arange(num_samples) * 2 ** (glitch.amount / 12)
            spoilt = np.interp(position % (num_samples - 1), np.arange(num_samples), beat)
        case GlitchKind.SLIPPED:
            spoilt = np.roll(beat, round(glitch.amount * num_samples))
    return spoilt.astype(np.float32)


def _draw_glitch(rng: np.random.Generator, beat: int) -> Glitch:
    kind = tuple(GlitchKind)[int(rng.integers(len(GlitchKind)))]
    match kind:
        case GlitchKind.DROPOUT:
            return Glitch(kind, beat)
        case GlitchKind.STUTTER:
            return Glitch(kind, beat, float(rng.integers(3, 7)))
        case GlitchKind.DETUNED:
            # Between the keys and at least a quarter tone away, so that it never lands on a right note.
            return Glitch(kind, beat, float(rng.choice((-1, 1)) * rng.uniform(0.5, 1.5)))
        case GlitchKind.SLIPPED:
            return Glitch(kind, beat, float(rng.uniform(0.2, 0.4)))
