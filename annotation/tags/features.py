"""The formulas that tags are heard by: pitch, tempo, key and the timbre of the accompaniment, as numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from annotation.spectrum.bands import band_levels_db
from annotation.spectrum.chroma import chroma, key_correlations
from annotation.spectrum.onset import Tempo, TempoConfig, onset_strength, tempo_of
from annotation.spectrum.pitch import PitchConfig, track_pitch
from annotation.spectrum.stft import StftConfig, stft
from annotation.spectrum.usable import ANALYSIS_RATE_HZ, is_silent
from levo.song.arrays import Array

_ONSETS = StftConfig(window_samples=512, hop_samples=160)
_TONES = StftConfig(window_samples=4096, hop_samples=1024)
_NUM_BANDS = 24
_NUM_GROUPS = 6
_MIN_VOICED_FRAMES = 10


@dataclass(frozen=True, slots=True, eq=False)
class TagFeatures:
    """One vector an attribute; none where the stem is silent or shows no such thing."""

    voice: Float64[Array, " feature"] | None
    tempo: Float64[Array, " feature"] | None
    instrument: Float64[Array, " feature"] | None
    mood: Float64[Array, " feature"] | None
    drums: Float64[Array, " feature"] | None
    tempo_bpm: float | None


def tag_features(vocal: Float32[Array, " sample"], accompaniment: Float32[Array, " sample"]) -> TagFeatures:
    """Features of two stems at 16 kHz."""
    voice = None if is_silent(vocal) else _voice(vocal)
    if is_silent(accompaniment):
        return TagFeatures(voice, None, None, None, None, None)
    levels = _levels_db(accompaniment)
    onsets = _standardised_onsets(levels)
    if voice is not None:
        onsets += _standardised_onsets(_levels_db(vocal))
    tempo = tempo_of(onsets, _ONSETS.hop_samples / ANALYSIS_RATE_HZ, TempoConfig())
    timbre = _timbre(levels)
    return TagFeatures(
        voice=voice,
        tempo=None if tempo is None else _log_tempo(tempo),
        instrument=timbre,
        mood=np.concatenate([_key(accompaniment), timbre]),
        drums=_hits(levels),
        tempo_bpm=None if tempo is None else tempo.bpm,
    )


def _levels_db(stem: Float32[Array, " sample"]) -> Float32[Array, "frame band"]:
    return band_levels_db(stft(stem, _ONSETS), _ONSETS, ANALYSIS_RATE_HZ, _NUM_BANDS)


def _standardised_onsets(levels: Float32[Array, "frame band"]) -> Float32[Array, " frame"]:
    """Onset strength in standard deviations, so that each stem counts alike."""
    strength = onset_strength(levels)
    standardised: Float32[Array, " frame"] = (strength - strength.mean()) / max(float(strength.std()), 1e-9)
    return standardised


def _voice(vocal: Float32[Array, " sample"]) -> Float64[Array, " feature"] | None:
    """Quartiles of the pitch, in octaves above 1 Hz."""
    track = track_pitch(vocal, ANALYSIS_RATE_HZ, PitchConfig())
    if int(track.voiced.sum()) < _MIN_VOICED_FRAMES:
        return None
    quartiles: Float64[Array, " feature"] = np.quantile(np.log2(track.f0_hz[track.voiced]), (0.25, 0.5, 0.75))
    return quartiles


def _log_tempo(tempo: Tempo) -> Float64[Array, " feature"]:
    return np.array([np.log2(tempo.bpm)])


def _timbre(levels: Float32[Array, "frame band"]) -> Float64[Array, " feature"]:
    """The mean spectrum's shape, and in six groups of bands how much the level varies, rises and falls.

    Decibels; rises and falls are means over frames of 10 ms.
    """
    groups = _groups(levels)
    steps = np.diff(groups, axis=0)
    rise, fall = np.maximum(steps, 0).mean(axis=0), np.sqrt(np.square(np.minimum(steps, 0)).mean(axis=0))
    return np.concatenate([_shape(levels), groups.std(axis=0), rise, fall]).astype(np.float64)


def _hits(levels: Float32[Array, "frame band"]) -> Float64[Array, " feature"]:
    """The mean spectrum's shape, and in six groups of bands how far peaks stand out and how fast the level can rise."""
    groups = _groups(levels)
    middle, peak = np.quantile(groups, (0.5, 0.95), axis=0)
    fastest = np.quantile(np.diff(groups, axis=0), 0.98, axis=0)
    return np.concatenate([_shape(levels), peak - middle, fastest]).astype(np.float64)


def _groups(levels: Float32[Array, "frame band"]) -> Float32[Array, "frame group"]:
    return np.asarray(levels.reshape(levels.shape[0], _NUM_GROUPS, -1).mean(axis=2))


def _shape(levels: Float32[Array, "frame band"]) -> Float32[Array, " band"]:
    mean = levels.mean(axis=0)
    return np.asarray(mean - mean.mean())


def _key(accompaniment: Float32[Array, " sample"]) -> Float64[Array, " feature"]:
    """Correlation of the mean chroma with the best major and the best minor key, and their difference."""
    profile = chroma(stft(accompaniment, _TONES), _TONES, ANALYSIS_RATE_HZ).mean(axis=0)
    major, minor = key_correlations(profile).max(axis=1)
    return np.array([major, minor, major - minor])
