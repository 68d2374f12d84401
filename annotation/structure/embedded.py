"""The embedded structure labeller: who sings when, where the sound changes, and what comes back."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int

from annotation.separation.embedded import EmbeddedSeparator
from annotation.spectrum.usable import ANALYSIS_RATE_HZ, is_silent, require_usable
from annotation.structure.activity import silent_frames, sung_frames
from annotation.structure.frames import FRAME_S, SongFrames, smoothed, song_frames
from annotation.structure.labels import Segment, label_segments
from annotation.structure.novelty import novelty, peaks
from annotation.structure.protocol import SectionKind, structure_tag
from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.timing import TimedSection
from levo.song.waveform import Waveform

_LONG_SONG_S = 120.0


@dataclass(frozen=True)
class EmbeddedStructureLabeller:
    """Boundaries where singing starts or stops and at peaks of novelty; labels by repetition and intensity.

    The shortest section and the span that novelty compares grow with the song, up to two minutes.
    """

    shortest_s: tuple[float, float] = (0.7, 5.0)
    """In a song of no length, and of two minutes or more."""
    novelty_span_s: tuple[float, float] = (1.5, 10.0)
    """Sound compared on each side of a boundary, likewise."""
    novelty_threshold: float = 1.5

    @cached_property
    def digest(self) -> str:
        """The method and its parameters, the separator's among them."""
        separator = EmbeddedSeparator().digest
        return digest_json({"structure": "embedded", "version": 1, "config": self, "separator": separator})

    def label(self, mixture: Waveform, vocal: Waveform | None) -> tuple[TimedSection, ...]:
        """Sections of a song; without a vocal, the embedded separator's is used."""
        require_usable(mixture, "mixture", FRAME_S)
        if is_silent(mixture.mono):
            return (TimedSection(structure_tag(SectionKind.SILENCE, mixture.duration_s), 0.0, mixture.duration_s),)
        if vocal is None:
            vocal = EmbeddedSeparator().separate(mixture).vocal
        elif vocal.num_samples != mixture.num_samples or vocal.sample_rate_hz != mixture.sample_rate_hz:
            raise ValueError(
                f"vocal has {vocal.num_samples} samples at {vocal.sample_rate_hz} Hz; "
                f"expected the mixture's {mixture.num_samples} at {mixture.sample_rate_hz} Hz"
            )
        whole = mono_at_rate(mixture, ANALYSIS_RATE_HZ, "mixture")
        sung = mono_at_rate(vocal, ANALYSIS_RATE_HZ, "vocal")
        frames = song_frames(whole, sung, whole - sung)
        return _timed(label_segments(self.segments(frames), frames), mixture.duration_s)

    def segments(self, frames: SongFrames) -> tuple[Segment, ...]:
        """Stretches between boundaries, each silent, sung or played."""
        share = min(1.0, frames.num_frames * FRAME_S / _LONG_SONG_S) ** 2
        shortest_s = (1 - share) * self.shortest_s[0] + share * self.shortest_s[1]
        span_s = (1 - share) * self.novelty_span_s[0] + share * self.novelty_span_s[1]
        silent = silent_frames(frames)
        sung = sung_frames(frames, shortest_s) & ~silent
        states = np.where(silent, 0, np.where(sung, 2, 1))
        changes = np.flatnonzero(np.diff(states)) + 1
        turns = peaks(_change(frames, span_s), self.novelty_threshold, round(shortest_s / FRAME_S))
        bounds = _merge(changes, turns, sung, round(shortest_s / FRAME_S))
        return tuple(
            Segment(
                start, end, is_sung=bool(sung[start:end].mean() > 0.5), is_silent=bool(silent[start:end].mean() > 0.5)
            )
            for start, end in itertools.pairwise(bounds)
        )


def _change(frames: SongFrames, span_s: float) -> Float32[Array, " frame"]:
    """Novelty of timbre, density and chords together, over its own mean."""
    density = smoothed(frames.onsets_db, 0.8)
    features = np.concatenate([frames.timbre_db / 10, density / 10, frames.chords], axis=1)
    values = novelty(features.astype(np.float32), round(span_s / FRAME_S))
    return values / max(float(values.mean()), 1e-9)


def _merge(
    changes: Int[Array, " change"], turns: Int[Array, " turn"], sung: Bool[Array, " frame"], shortest: int
) -> list[int]:
    """All changes of state, and turns of the sound that lie within sung stretches and away from any other bound."""
    bounds = [0, *(int(frame) for frame in changes), sung.size]
    inner = [int(turn) for turn in turns if sung[turn] and all(abs(int(turn) - bound) >= shortest for bound in bounds)]
    return sorted({*bounds, *inner})


def _timed(labelled: Sequence[tuple[Segment, SectionKind]], duration_s: float) -> tuple[TimedSection, ...]:
    """Sections in seconds, neighbours of one kind joined, the last one up to the song's very end."""
    starts = [place for place in range(len(labelled)) if place == 0 or labelled[place][1] is not labelled[place - 1][1]]
    starts_s = [round(labelled[place][0].start * FRAME_S, 3) for place in starts]
    spans = zip(starts, starts_s, [*starts_s[1:], duration_s], strict=True)
    return tuple(
        TimedSection(structure_tag(labelled[place][1], end_s - start_s), start_s, end_s)
        for place, start_s, end_s in spans
    )
