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
from annotation.structure.two_states import two_states
from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.timing import TimedSection
from levo.song.waveform import Waveform

_LONG_SONG_S = 120.0
_STATES_ABOVE_S = 30.0
"""Shorter songs are too brief to say what their states are."""
_PITCH_WEIGHT = 4
"""Pitch counts as much as so many of the twelve features of timbre and onsets."""


@dataclass(frozen=True)
class EmbeddedStructureLabeller:
    """Boundaries where singing starts or stops, and within it where the song's two sung states take turns.

    The states are heard in timbre and onsets and in the vocal's pitch; the chorus is sung higher or is more intense.
    Brief songs have too little of either: there peaks of novelty are boundaries, and the more intense stretches
    choruses. The shortest section, the spans compared and the cost of a turn grow with the song, up to two minutes.
    """

    shortest_s: tuple[float, float] = (0.7, 5.0)
    """In a song of no length, and of two minutes or more."""
    novelty_span_s: tuple[float, float] = (1.5, 10.0)
    """Sound compared on each side of a boundary, likewise."""
    novelty_threshold: float = 1.5
    state_span_s: tuple[float, float] = (1.0, 5.0)
    """What features of the sung states are averaged over, likewise."""
    turn_cost: tuple[float, float] = (20.0, 50.0)
    """What a turn from one sung state to the other takes, in nats, likewise."""
    turn_slack_s: tuple[float, float] = (1.6, 4.0)
    """How far from where the averaged features turn the sound itself may change, a standard deviation, likewise."""

    @cached_property
    def digest(self) -> str:
        """The method and its parameters, the separator's among them."""
        separator = EmbeddedSeparator().digest
        return digest_json({"structure": "embedded", "version": 2, "config": self, "separator": separator})

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
        shortest_s = _by_length(self.shortest_s, frames)
        silent = silent_frames(frames)
        sung = sung_frames(frames, shortest_s) & ~silent
        states = np.where(silent, 0, np.where(sung, 2, 1))
        high = self._high_frames(frames, sung)
        if high is not None:
            return _stretches(states + np.where(sung, high, 0), sung, silent, high)
        changes = np.flatnonzero(np.diff(states)) + 1
        change = _change(frames, _by_length(self.novelty_span_s, frames))
        turns = peaks(change, self.novelty_threshold, round(shortest_s / FRAME_S))
        bounds = _merge(changes, turns, sung, round(shortest_s / FRAME_S))
        return tuple(
            Segment(
                start, end, is_sung=bool(sung[start:end].mean() > 0.5), is_silent=bool(silent[start:end].mean() > 0.5)
            )
            for start, end in itertools.pairwise(bounds)
        )

    def _high_frames(self, frames: SongFrames, sung: Bool[Array, " frame"]) -> Bool[Array, " frame"] | None:
        """The frames of the sung state that is the chorus; None in brief songs, and where there is one state.

        States are looked for in the mixture and the vocal's pitch, with the accompaniment and without; those are taken
        whose turns fall on the most novelty.
        """
        if frames.num_frames <= round(_STATES_ABOVE_S / FRAME_S) or not sung.any():
            return None
        change = _whole_change(frames, _by_length(self.novelty_span_s, frames))
        found = [
            self._placed(high, sung, change, frames)
            for with_accompaniment in (False, True)
            if (high := self._states(frames, sung, with_accompaniment=with_accompaniment)) is not None
        ]

        def worth(high: Bool[Array, " frame"]) -> float:
            return float(sum(change[turn] - self.novelty_threshold for _, turn, _ in _turns(high, sung)))

        return max(found, key=worth, default=None)

    def _states(
        self, frames: SongFrames, sung: Bool[Array, " frame"], *, with_accompaniment: bool
    ) -> Bool[Array, " frame"] | None:
        """Of two states the one that is higher in pitch or more intense, whichever sets them apart more."""
        span_s = _by_length(self.state_span_s, frames)
        places = np.flatnonzero(sung)
        pitch = smoothed(frames.pitch, span_s)[places]
        parts = [frames.mixture_timbre_db, frames.mixture_onsets_db]
        if with_accompaniment:
            parts += [frames.timbre_db, frames.onsets_db]
        heard = [smoothed(part, span_s)[places] for part in parts]
        features = np.concatenate([*heard, np.tile(pitch[:, None], (1, _PITCH_WEIGHT))], axis=1)
        begins = np.diff(places, prepend=places[0]) > 1
        states = two_states(features.astype(np.float64), begins, _by_length(self.turn_cost, frames))
        if states is None:
            return None
        intensity = heard[1].mean(axis=1) + 0.5 * heard[0].mean(axis=1)
        contrasts = [
            (values[states == 1].mean() - values[states == 0].mean()) / max(float(values.std()), 1e-6)
            for values in (pitch, intensity)
        ]
        high = np.zeros(sung.shape, dtype=bool)
        high[places[states == int(max(contrasts, key=abs) > 0)]] = True
        return high

    def _placed(
        self,
        high: Bool[Array, " frame"],
        sung: Bool[Array, " frame"],
        change: Float32[Array, " frame"],
        frames: SongFrames,
    ) -> Bool[Array, " frame"]:
        """The chorus with each turn moved to the greatest novelty near it, within its two stretches."""
        slack = _by_length(self.turn_slack_s, frames) / FRAME_S
        shortest, reach = round(_by_length(self.shortest_s, frames) / FRAME_S), round(3 * slack)
        placed = high.copy()
        for before, turn, after in _turns(high, sung):
            window = np.arange(max(before + shortest, turn - reach), min(after - shortest, turn + reach))
            if window.size:
                nearness = np.exp(-0.5 * np.square((window - turn) / slack))
                best = int(window[(change[window] * nearness).argmax()])
                placed[before:best], placed[best:after] = high[turn - 1], high[turn]
        return placed


def _turns(high: Bool[Array, " frame"], sung: Bool[Array, " frame"]) -> list[tuple[int, int, int]]:
    """Frames at which a sung stretch turns from one state to the other, between the bounds before and after it."""
    bounds = [0, *(int(frame) + 1 for frame in np.flatnonzero(np.diff(np.where(sung, 1 + high, 0)))), sung.size]
    threes = zip(bounds, bounds[1:], bounds[2:], strict=False)
    return [(before, turn, after) for before, turn, after in threes if sung[turn - 1] and sung[turn]]


def _by_length(range_: tuple[float, float], frames: SongFrames) -> float:
    """Between a range's ends, by the song's length up to two minutes, squared."""
    share = min(1.0, frames.num_frames * FRAME_S / _LONG_SONG_S) ** 2
    return (1 - share) * range_[0] + share * range_[1]


def _stretches(
    states: Int[Array, " frame"],
    sung: Bool[Array, " frame"],
    silent: Bool[Array, " frame"],
    high: Bool[Array, " frame"],
) -> tuple[Segment, ...]:
    bounds = [0, *(int(frame) + 1 for frame in np.flatnonzero(np.diff(states))), states.size]
    return tuple(
        Segment(start, end, bool(sung[start]), bool(silent[start]), bool(high[start]) if sung[start] else None)
        for start, end in itertools.pairwise(bounds)
    )


def _change(frames: SongFrames, span_s: float) -> Float32[Array, " frame"]:
    """Novelty of timbre, density and chords together, over its own mean."""
    density = smoothed(frames.onsets_db, 0.8)
    features = np.concatenate([frames.timbre_db / 10, density / 10, frames.chords], axis=1)
    values = novelty(features.astype(np.float32), round(span_s / FRAME_S))
    return values / max(float(values.mean()), 1e-9)


def _whole_change(frames: SongFrames, span_s: float) -> Float32[Array, " frame"]:
    """Novelty of all that is known of mixture, accompaniment and vocal, over its own mean."""
    levels = (frames.mixture_timbre_db, frames.timbre_db)
    densities = (smoothed(frames.mixture_onsets_db, 0.8), smoothed(frames.onsets_db, 0.8))
    parts = [part / 10 for part in (*levels, *densities)]
    features = np.concatenate([*parts, frames.chords, frames.pitch[:, None] / 6], axis=1)
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
