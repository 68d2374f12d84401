"""Rendering: a plan sung by the voice and played by the band, with the truth about what sounds when."""

import numpy as np
from jaxtyping import Float32, Int16

from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform
from pipelines.rendered.band import play_accompaniment
from pipelines.rendered.glitch import Glitch, apply_glitches
from pipelines.rendered.plan import SongPlan
from pipelines.rendered.timeline import time_song
from pipelines.rendered.voice import Voice

_FULL_SCALE = 32768


def render_song(plan: SongPlan, voice: Voice, glitches: tuple[Glitch, ...] = ()) -> LabelledSong:
    """Sing and play a plan; glitches spoil beats of the accompaniment, and so of the mixture.

    Both stems lie on the 16-bit grid, so their sum does too: mixture = vocal + accompaniment holds exactly, in memory
    and in 16-bit files.
    """
    config = voice.config
    played = play_accompaniment(plan, config.samples_per_frame, config.sample_rate_hz)
    spoilt = apply_glitches(played, glitches, config.samples_per_frame * plan.style.tempo.frames_per_beat)
    vocal, accompaniment = _sing(plan, voice), _on_grid(spoilt)
    times = time_song(plan, voice)
    return LabelledSong(
        song_id=plan.song_id,
        vocal=mono_waveform(vocal, config.sample_rate_hz),
        accompaniment=mono_waveform(accompaniment, config.sample_rate_hz),
        mixture=mono_waveform(vocal + accompaniment, config.sample_rate_hz),
        lyrics=plan.lyrics,
        description=plan.description,
        words=times.words,
        phonemes=times.phonemes,
        sections=times.sections,
        singer=plan.style.singer.name,
        tempo_bpm=plan.style.tempo.bpm,
    )


def pcm16(waveform: Waveform) -> Int16[Array, " sample"]:
    """A mono waveform as 16-bit integers; raises `ValueError` where it clips."""
    peak = float(np.abs(waveform.mono).max(initial=0.0))
    if peak >= 1.0:
        raise ValueError(f"peak {peak:.3f} clips in 16 bits; expected less than 1")
    return np.round(waveform.mono * _FULL_SCALE).astype(np.int16)


def _sing(plan: SongPlan, voice: Voice) -> Float32[Array, " sample"]:
    frames = plan.style.tempo.frames_per_beat
    vocal = np.zeros((plan.num_beats, frames * voice.config.samples_per_frame), np.float32)
    for note in plan.sung_notes:
        vocal[note.beat] = voice.note(plan.style.singer.name, note.word, frames, note.pitch)
    return vocal.reshape(-1) / np.float32(_FULL_SCALE)


def _on_grid(samples: Float32[Array, " sample"]) -> Float32[Array, " sample"]:
    """Samples rounded to 16-bit steps."""
    return (np.round(samples * _FULL_SCALE) / _FULL_SCALE).astype(np.float32)
