"""How the band's instruments sound: one note or one drum hit at a time, as plain additive and noise synthesis."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64

from levo.song.arrays import Array
from pipelines.rendered.syllable import pitch_hz
from pipelines.rendered.world import Instrument

_RELEASE_S = 0.02


@dataclass(frozen=True, slots=True)
class Timbre:
    """An additive recipe: partial n has amplitude `partials[n-1]`, decays, swells in, and may be doubled off pitch."""

    partials: tuple[float, ...]
    attack_s: float
    decay_s: float | None
    """Time in which the first partial falls by 1/e; partial n is sqrt(n) times as fast. None holds the note."""
    detune_cents: tuple[float, ...] = (0.0,)
    tremolo_hz: float = 0.0


TIMBRES: dict[Instrument, Timbre] = {
    Instrument.PIANO: Timbre((1.0, 0.55, 0.3, 0.2, 0.12, 0.08, 0.05), attack_s=0.004, decay_s=0.35),
    Instrument.ORGAN: Timbre((1.0, 0.9, 0.1, 0.8, 0.05, 0.6, 0.05, 0.6), attack_s=0.015, decay_s=None, tremolo_hz=6.5),
    Instrument.GUITAR: Timbre(
        tuple(abs(np.sin(0.22 * np.pi * n)) / n**0.7 for n in range(1, 13)), attack_s=0.002, decay_s=0.12
    ),
    Instrument.STRINGS: Timbre(
        tuple(1 / n**0.9 for n in range(1, 17)), attack_s=0.12, decay_s=None, detune_cents=(-9.0, 0.0, 8.0)
    ),
}
BASS = Timbre((1.0, 0.5, 0.15), attack_s=0.004, decay_s=0.25)
LEAD = Timbre((1.0, 0.05, 0.35, 0.05, 0.2), attack_s=0.02, decay_s=None)


@lru_cache(maxsize=4096)
def play_note(timbre: Timbre, pitch: int, num_samples: int, sample_rate_hz: int) -> Float32[Array, " sample"]:
    """A MIDI pitch held for a time, at an RMS of 1 over its first quarter second; cached, so do not write to it."""
    num_seconds = -(-num_samples // sample_rate_hz)
    note = _held_note(timbre, pitch, num_seconds, sample_rate_hz)[:num_samples]
    release = np.minimum((num_samples - np.arange(num_samples)) / (_RELEASE_S * sample_rate_hz), 1.0)
    return _frozen(note * release)


@lru_cache(maxsize=1024)
def _held_note(timbre: Timbre, pitch: int, num_seconds: int, sample_rate_hz: int) -> Float64[Array, " sample"]:
    """A note that is not let go; partials come from powers of one phasor, which is cheaper than a sine each."""
    times_s = np.arange(num_seconds * sample_rate_hz) / sample_rate_hz
    note = np.zeros(len(times_s))
    for cents in timbre.detune_cents:
        hz = pitch_hz(pitch) * 2 ** (cents / 1200)
        phasor = np.exp(2j * np.pi * hz * times_s)
        power = np.ones_like(phasor)
        for number, amplitude in enumerate(timbre.partials, start=1):
            power *= phasor
            if number * hz < 0.45 * sample_rate_hz:
                shift = np.exp(1j * (0.7 * number**2 + cents))
                note += amplitude * _fall(timbre, number, times_s) * (power * shift).imag
    note *= np.minimum(times_s / timbre.attack_s, 1.0)
    note *= 1 + 0.25 * np.sin(2 * np.pi * timbre.tremolo_hz * times_s)
    note /= np.sqrt(np.mean(note[: sample_rate_hz // 4] ** 2))
    return note


@lru_cache(maxsize=8)
def hit_kick(sample_rate_hz: int) -> Float32[Array, " sample"]:
    """A bass drum: a sine that falls from 140 to 45 Hz."""
    times_s = np.arange(round(0.18 * sample_rate_hz)) / sample_rate_hz
    hz = 45 + 95 * np.exp(-times_s / 0.03)
    return _frozen(np.sin(2 * np.pi * np.cumsum(hz) / sample_rate_hz) * np.exp(-times_s / 0.06))


@lru_cache(maxsize=8)
def hit_snare(sample_rate_hz: int) -> Float32[Array, " sample"]:
    """A snare: bright noise over a short tone."""
    times_s = np.arange(round(0.15 * sample_rate_hz)) / sample_rate_hz
    noise = np.random.default_rng(1).standard_normal(len(times_s))
    tone = np.sin(2 * np.pi * 190 * times_s) * np.exp(-times_s / 0.03)
    return _frozen(0.35 * noise * np.exp(-times_s / 0.045) + 0.5 * tone)


@lru_cache(maxsize=8)
def hit_hat(sample_rate_hz: int) -> Float32[Array, " sample"]:
    """A closed hi-hat: noise differentiated twice, so that little of it is below 4 kHz."""
    times_s = np.arange(round(0.06 * sample_rate_hz)) / sample_rate_hz
    noise = np.random.default_rng(2).standard_normal(len(times_s) + 2)
    return _frozen(0.2 * np.diff(noise, n=2) * np.exp(-times_s / 0.015))


def _fall(timbre: Timbre, number: int, times_s: Float64[Array, " sample"]) -> Float64[Array, " sample"]:
    if timbre.decay_s is None:
        return np.ones(len(times_s))
    fall: Float64[Array, " sample"] = np.exp(-times_s * np.sqrt(number) / timbre.decay_s)
    return fall


def _frozen(samples: Float64[Array, " sample"]) -> Float32[Array, " sample"]:
    frozen = samples.astype(np.float32)
    frozen.flags.writeable = False
    return frozen
