"""The accompaniment of a plan: chords, bass, lead and drums, laid on the beat grid."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.structure import StructureTag
from pipelines.rendered.harmony import pitch_at_or_above
from pipelines.rendered.instruments import BASS, LEAD, TIMBRES, Timbre, hit_hat, hit_kick, hit_snare, play_note
from pipelines.rendered.plan import PlannedBar, SongPlan, SongStyle
from pipelines.rendered.world import Instrument, Mood

_LOWEST_BASS_PITCH = 29
_LOWEST_CHORD_PITCH = {Mood.BRIGHT: 59, Mood.DARK: 47}
_LEAD_PITCHES_ABOVE = 65
_CHORD_GAIN = 0.030
_BASS_GAIN = 0.045
_LEAD_GAIN = 0.040
_KICK_GAIN, _SNARE_GAIN, _HAT_GAIN = 0.16, 0.14, 0.12
_PEAK = 0.45


@dataclass(slots=True, eq=False)
class _Track:
    """The samples that are being written, and how long a beat of them is."""

    samples: Float32[Array, " sample"]
    samples_per_beat: int
    sample_rate_hz: int

    def add(self, sound: Float32[Array, " sample"], beat: float, gain: float) -> None:
        start = round(beat * self.samples_per_beat)
        end = min(start + len(sound), len(self.samples))
        self.samples[start:end] += gain * sound[: end - start]

    def add_note(self, timbre: Timbre, pitch: int, beat: float, num_beats: float, gain: float) -> None:
        num_samples = round(num_beats * self.samples_per_beat)
        self.add(play_note(timbre, pitch, num_samples, self.sample_rate_hz), beat, gain)


def play_accompaniment(plan: SongPlan, samples_per_frame: int, sample_rate_hz: int) -> Float32[Array, " sample"]:
    """The whole band for a song; its peak stays under 0.45 by a soft limiter."""
    samples_per_beat = samples_per_frame * plan.style.tempo.frames_per_beat
    track = _Track(np.zeros(plan.num_beats * samples_per_beat, np.float32), samples_per_beat, sample_rate_hz)
    beat = 0
    for section in plan.sections:
        for bar in section.bars:
            _play_bar(track, bar, section.tag, plan.style, beat)
            beat += bar.num_beats
    return (_PEAK * np.tanh(track.samples / _PEAK)).astype(np.float32)


def _play_bar(track: _Track, bar: PlannedBar, tag: StructureTag, style: SongStyle, beat: int) -> None:
    dense = tag is StructureTag.CHORUS
    _play_chord(track, bar, style, beat, dense)
    root = pitch_at_or_above(_LOWEST_BASS_PITCH, bar.chord.root)
    for step in range(bar.num_beats):
        if dense or step % 2 == 0:
            track.add_note(BASS, root, beat + step, 1, _BASS_GAIN)
    if not tag.is_sung:
        for step, pitch in enumerate(bar.melody):
            lead = pitch_at_or_above(_LEAD_PITCHES_ABOVE, pitch % 12)
            track.add_note(LEAD, lead, beat + step, 1, _LEAD_GAIN)
    if style.has_drums:
        _play_drums(track, bar.num_beats, beat, dense)


def _play_chord(track: _Track, bar: PlannedBar, style: SongStyle, beat: int, dense: bool) -> None:
    timbre = TIMBRES[style.instrument]
    pitches = bar.chord.voiced(_LOWEST_CHORD_PITCH[style.mood])
    if dense:
        pitches = (*pitches, pitches[0] + 12)
    if style.instrument is Instrument.GUITAR:
        for step in range(2 * bar.num_beats):
            track.add_note(timbre, pitches[step % len(pitches)], beat + step / 2, 1, 2 * _CHORD_GAIN)
        return
    held = {Instrument.PIANO: 1, Instrument.ORGAN: 2, Instrument.STRINGS: bar.num_beats}[style.instrument]
    for step in range(0, bar.num_beats, held):
        for pitch in pitches:
            track.add_note(timbre, pitch, beat + step, min(held, bar.num_beats - step), _CHORD_GAIN)


def _play_drums(track: _Track, num_beats: int, beat: int, dense: bool) -> None:
    rate = track.sample_rate_hz
    for step in range(num_beats):
        track.add(hit_snare(rate) if step % 2 else hit_kick(rate), beat + step, _SNARE_GAIN if step % 2 else _KICK_GAIN)
        track.add(hit_hat(rate), beat + step, _HAT_GAIN)
        if dense:
            track.add(hit_hat(rate), beat + step + 0.5, _HAT_GAIN)
