"""Small synthetic songs of known tempo, pitch and timbre, so that the judges' tests need no corpus."""

from dataclasses import dataclass

import numpy as np
import pytest

from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.description import Description
from levo.song.waveform import mono_waveform

RATE_HZ = 16_000
BEATS_S = {"slow": 0.48, "fast": 0.32}
CHORDS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticSong:
    """Stems, their true description and their tempo."""

    song_id: str
    stems: Stems
    description: Description
    beat_s: float


def tone(pitch: float, duration_s: float, num_partials: int, decay_s: float) -> Array:
    """A note that decays, of equally phased partials of falling strength."""
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    hz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [np.sin(2 * np.pi * number * hz * times_s) / number for number in range(1, num_partials + 1)]
    shape = np.minimum(times_s / 0.004, 1) * np.exp(-times_s / decay_s)
    return np.asarray(sum(partials) * shape, dtype=np.float32)


def synthetic_song(seed: int, *, transpose: int | None = None, num_beats: int = 10) -> SyntheticSong:
    """A song drawn from a seed: slow or fast, plucked or held chords, a low or a high voice, any key."""
    rng = np.random.default_rng(seed)
    tempo, instrument = str(rng.choice(["slow", "fast"])), str(rng.choice(["plucked", "held"]))
    voice = str(rng.choice(["male", "female"]))
    key = int(rng.integers(12)) if transpose is None else transpose
    beat_s = BEATS_S[tempo]
    decay_s, num_partials = (0.06, 8) if instrument == "plucked" else (0.8, 2)
    chords: list[Array] = []
    notes: list[Array] = []
    for beat in range(num_beats):
        chord = CHORDS[beat * len(CHORDS) // num_beats]
        chords.append(np.sum([tone(pitch - 12 + key, beat_s, num_partials, decay_s) for pitch in chord], axis=0) * 0.1)
        sung = chord[int(rng.integers(3))] % 12 + key % 12
        notes.append(0.15 * tone((48 if voice == "male" else 60) + sung % 12, beat_s, 6, 0.5))
    accompaniment, vocal = np.concatenate(chords), np.concatenate(notes)
    parts = (vocal, accompaniment, (vocal + accompaniment).astype(np.float32))
    stems = Stems(*(mono_waveform(part.astype(np.float32), RATE_HZ) for part in parts))
    return SyntheticSong(f"song-{seed}", stems, Description((voice, tempo, instrument)), beat_s)


@pytest.fixture(scope="session")
def songs() -> list[SyntheticSong]:
    return [synthetic_song(seed) for seed in range(60)]
