"""Songs of known truth made of sines and noise, for annotators that hear formulas."""

from collections.abc import Callable

import numpy as np
import pytest

from levo.song.arrays import Array
from levo.song.description import Description
from levo.song.labelled import LabelledSong
from levo.song.lyrics import Lyrics
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection
from levo.song.waveform import mono_waveform

RATE_HZ = 16_000
_FORMANTS_HZ = ((500, 1500, 2500), (300, 2200, 2900), (700, 1100, 2400))
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_DEGREES = (0, 3, 4, 0, 5, 3, 4, 4)
_BEAT_S = {"slow": 0.48, "medium": 0.4, "fast": 0.32}
SHORT_FORM = ((StructureTag.VERSE, 8), (StructureTag.CHORUS, 4))
LONG_FORM = (
    (StructureTag.INTRO_SHORT, 8),
    (StructureTag.VERSE, 16),
    (StructureTag.CHORUS, 8),
    (StructureTag.INST_SHORT, 8),
    (StructureTag.VERSE, 16),
    (StructureTag.CHORUS, 8),
)

SongMaker = Callable[..., LabelledSong]


@pytest.fixture(scope="session")
def make_song() -> SongMaker:
    """Draws a song by its seed: style from the seed, a short form or a long one."""
    return _make_song


def _make_song(seed: int, *, long: bool = False) -> LabelledSong:
    rng = np.random.default_rng(seed)
    tags = tuple(
        str(rng.choice(options))
        for options in (
            ("male", "female"),
            tuple(_BEAT_S),
            ("plucked", "held"),
            ("bright", "dark"),
            ("drums", "no drums"),
        )
    )
    voice, tempo, instrument, mood, drums = tags
    form = LONG_FORM if long else SHORT_FORM
    num_samples = round(_BEAT_S[tempo] * RATE_HZ)
    scale = _MAJOR if mood == "bright" else _MINOR
    tonic_hz = 110 * 2 ** (rng.integers(0, 5) / 12)
    vocal, band, sections, beat = [], [], [], 0
    for tag, num_beats in form:
        for step in range(num_beats):
            chord = [scale[(_DEGREES[(step // 2) % 8] + third) % 7] for third in (0, 2, 4)]
            sung = _syllable(rng, tonic_hz * (2 if voice == "female" else 1), chord, num_samples)
            vocal.append(sung if tag.is_sung else np.zeros(num_samples))
            band.append(_band(rng, 2 * tonic_hz, chord, num_samples, instrument, drums, tag is StructureTag.CHORUS))
        sections.append(TimedSection(tag, beat * _BEAT_S[tempo], (beat + num_beats) * _BEAT_S[tempo]))
        beat += num_beats
    stems = [np.round(np.concatenate(parts) * 32768).astype(np.float32) / np.float32(32768) for parts in (vocal, band)]
    return LabelledSong(
        song_id=f"synthetic-{seed}",
        vocal=mono_waveform(stems[0], RATE_HZ),
        accompaniment=mono_waveform(stems[1], RATE_HZ),
        mixture=mono_waveform(stems[0] + stems[1], RATE_HZ),
        lyrics=Lyrics(()),
        description=Description(tags),
        words=(),
        phonemes=(),
        sections=tuple(sections),
        singer=voice,
        tempo_bpm=60 / _BEAT_S[tempo],
    )


def _syllable(rng: np.random.Generator, tonic_hz: float, chord: list[int], num_samples: int) -> Array:
    """A consonant of noise and a vowel of many harmonics with vibrato."""
    time_s = np.arange(num_samples) / RATE_HZ
    f0_hz = tonic_hz * 2 ** (chord[rng.integers(3)] / 12)
    phase = 2 * np.pi * np.cumsum(f0_hz * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time_s))) / RATE_HZ
    formants = np.array(_FORMANTS_HZ[rng.integers(3)])
    harmonics = np.arange(1, int(7000 / f0_hz))
    gains = (1 / (1 + np.square((harmonics[:, None] * f0_hz - formants) / 120))).sum(axis=1) + 0.02
    vowel = gains @ np.sin(harmonics[:, None] * phase + rng.uniform(0, 2 * np.pi, harmonics.size)[:, None])
    vowel *= np.clip(time_s / 0.05, 0, 1) * np.clip((time_s[-1] - time_s) / 0.05, 0, 1)
    consonant = np.diff(rng.normal(size=num_samples + 1)) * np.exp(-time_s / 0.02) * 0.2
    return np.asarray(0.06 * vowel + 0.3 * consonant)


def _band(
    rng: np.random.Generator,
    root_hz: float,
    chord: list[int],
    num_samples: int,
    instrument: str,
    drums: str,
    dense: bool,
) -> Array:
    time_s = np.arange(num_samples) / RATE_HZ
    decay = 6.0 if instrument == "plucked" else 0.5
    richness = 1.0 if instrument == "plucked" else 2.0
    envelope = np.exp(-decay * time_s) * np.clip(time_s / 0.01, 0, 1)
    harmonics = np.arange(1, 7)
    sound = np.zeros(num_samples)
    for semitones in [*chord, chord[0] + 12] if dense else chord:
        partials = np.sin(2 * np.pi * root_hz * 2 ** (semitones / 12) * harmonics[:, None] * time_s)
        sound += 0.04 * envelope * (harmonics**-richness @ partials)
    sound += 0.1 * np.exp(-3 * time_s) * np.sin(2 * np.pi * root_hz / 4 * 2 ** (chord[0] / 12) * time_s)
    if drums == "drums":
        sound += 0.1 * np.exp(-time_s / 0.015) * rng.normal(size=num_samples)
    if dense:
        half = num_samples // 2
        sound[half:] += 0.06 * np.exp(-time_s[: num_samples - half] / 0.01) * rng.normal(size=num_samples - half)
    return sound
