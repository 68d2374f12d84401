"""What a song is like, ten times a second: its levels, timbre, density of onsets, chords, and its vocal's pitch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from annotation.separation.melody import MelodyConfig, melody_hz
from annotation.spectrum.bands import band_levels_db
from annotation.spectrum.chroma import chroma
from annotation.spectrum.stft import StftConfig, stft
from annotation.spectrum.usable import ANALYSIS_RATE_HZ
from levo.song.arrays import Array

FRAME_S = 0.1
_SAMPLES_PER_FRAME = round(FRAME_S * ANALYSIS_RATE_HZ)
_ONSETS = StftConfig(window_samples=512, hop_samples=160)
_TONES = StftConfig(window_samples=4096, hop_samples=_SAMPLES_PER_FRAME)
_MELODY = StftConfig(window_samples=1536, hop_samples=320)
_PITCH_ZERO_HZ = 110.0
_NUM_BANDS = 24
_NUM_GROUPS = 6
_VOICE_BANDS = slice(4, 20)


@dataclass(frozen=True, slots=True, eq=False)
class SongFrames:
    """Frames of 0.1 s; levels are decibels of full scale, no lower than -90."""

    mixture_db: Float32[Array, " frame"]
    vocal_db: Float32[Array, " frame"]
    voice_db: Float32[Array, " frame"]
    """The vocal's level in the mean over bands from 300 Hz to 5 kHz: a voice fills them all, what leaks does not."""
    timbre_db: Float32[Array, "frame group"]
    """Level of the accompaniment in six groups of mel bands."""
    onsets_db: Float32[Array, "frame group"]
    """Rise in each group within the frame, summed."""
    mixture_timbre_db: Float32[Array, "frame group"]
    """The same of the mixture, into which no separator puts anything of its own."""
    mixture_onsets_db: Float32[Array, "frame group"]
    pitch: Float32[Array, " frame"]
    """The vocal's melody, in semitones above 110 Hz, in frames without a voice too."""
    chords: Float32[Array, "frame pitch_class"]
    """Chroma of the accompaniment, of unit length."""

    @property
    def num_frames(self) -> int:
        """Whole frames in the song."""
        return int(self.mixture_db.shape[0])


def song_frames(
    mixture: Float32[Array, " sample"], vocal: Float32[Array, " sample"], accompaniment: Float32[Array, " sample"]
) -> SongFrames:
    """Frames of a song at 16 kHz, at least one frame long; a last part of a frame is left out."""
    num_frames = mixture.size // _SAMPLES_PER_FRAME
    steps_per_frame = _SAMPLES_PER_FRAME // _ONSETS.hop_samples
    timbre_db, onsets_db = _timbre(accompaniment, num_frames)
    mixture_timbre_db, mixture_onsets_db = _timbre(mixture, num_frames)
    tones = chroma(stft(accompaniment, _TONES), _TONES, ANALYSIS_RATE_HZ)[:num_frames]
    return SongFrames(
        mixture_db=_levels_db(mixture, num_frames),
        vocal_db=_levels_db(vocal, num_frames),
        voice_db=_by_frame(_bands_db(vocal)[:, _VOICE_BANDS], num_frames, steps_per_frame).mean(axis=(1, 2)),
        timbre_db=timbre_db,
        onsets_db=onsets_db,
        mixture_timbre_db=mixture_timbre_db,
        mixture_onsets_db=mixture_onsets_db,
        pitch=_pitch(vocal, num_frames),
        chords=tones / np.maximum(np.linalg.norm(tones, axis=1, keepdims=True), 1e-9),
    )


def smoothed(values: Float32[Array, "frame ..."], duration_s: float) -> Float32[Array, "frame ..."]:
    """The running mean over a duration, centred."""
    width = 2 * round(duration_s / FRAME_S / 2) + 1
    result: Float32[Array, "frame ..."] = ndimage.uniform_filter1d(values, width, axis=0, mode="nearest")
    return result


def _timbre(samples: Float32[Array, " sample"], num_frames: int) -> tuple[Array, Array]:
    """Levels in groups of bands, and their rises, a frame."""
    steps_per_frame = _SAMPLES_PER_FRAME // _ONSETS.hop_samples
    bands = _bands_db(samples)
    groups = bands.reshape(bands.shape[0], _NUM_GROUPS, -1).mean(axis=2)
    rises = np.maximum(np.diff(groups, axis=0, prepend=groups[:1]), 0)
    return (
        _by_frame(groups, num_frames, steps_per_frame).mean(axis=1),
        _by_frame(rises, num_frames, steps_per_frame).sum(axis=1),
    )


def _pitch(vocal: Float32[Array, " sample"], num_frames: int) -> Float32[Array, " frame"]:
    """The median of the melody's steps in each frame."""
    steps_per_frame = _SAMPLES_PER_FRAME // _MELODY.hop_samples
    frequencies = _MELODY.frequencies_hz(ANALYSIS_RATE_HZ)
    hz = melody_hz(np.abs(stft(vocal, _MELODY)), float(frequencies[1]), MelodyConfig())
    semitones = 12 * np.log2(hz / _PITCH_ZERO_HZ)
    missing = max(0, num_frames * steps_per_frame - semitones.size)
    steps = np.pad(semitones, (0, missing), mode="edge")[: num_frames * steps_per_frame]
    return np.asarray(np.median(steps.reshape(num_frames, steps_per_frame), axis=1), dtype=np.float32)


def _bands_db(samples: Float32[Array, " sample"]) -> Float32[Array, "step band"]:
    return band_levels_db(stft(samples, _ONSETS), _ONSETS, ANALYSIS_RATE_HZ, _NUM_BANDS)


def _by_frame(values: Float32[Array, "step group"], num_frames: int, steps: int) -> Float32[Array, "frame step group"]:
    return values[: num_frames * steps].reshape(num_frames, steps, -1)


def _levels_db(samples: Float32[Array, " sample"], num_frames: int) -> Float32[Array, " frame"]:
    frames = samples[: num_frames * _SAMPLES_PER_FRAME].reshape(num_frames, _SAMPLES_PER_FRAME)
    return np.asarray(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-9), dtype=np.float32)
