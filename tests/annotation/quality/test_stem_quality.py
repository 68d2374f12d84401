"""Leaks of a known size are found as large as they are, and a gate tells which measure was too high."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from annotation.quality.stem_quality import FLOOR_DB, StemGate, StemQuality, leaked_energy, stem_quality
from levo.codec.stems import Stems
from levo.song.waveform import Waveform, mono_waveform

RATE = 16000
GENERATOR = np.random.default_rng(0)


def voice(duration_s: float = 12.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Gliding harmonics with pauses."""
    time_s = np.arange(int(duration_s * RATE)) / RATE
    pitch = 220 * 2 ** (0.4 * np.sin(2 * np.pi * 0.31 * time_s) + 0.02 * np.sin(2 * np.pi * 5.5 * time_s))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 12))
    return (0.2 * harmonics * (np.sin(2 * np.pi * 0.4 * time_s) > -0.3)).astype(np.float32)


def band(duration_s: float = 12.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Steady chords and bursts of noise."""
    time_s = np.arange(int(duration_s * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * frequency * time_s) for frequency in (130.8, 164.8, 196.0, 261.6))
    noise = GENERATOR.normal(0, 1, len(time_s)) * np.exp(-20 * (time_s % 0.5))
    return (0.1 * chord + 0.1 * noise).astype(np.float32)


def leaking(share: float) -> Stems:
    sung, played = voice(), band()
    stems = ((1 - share) * sung, played + share * sung, sung + played)
    return Stems(*(mono_waveform(samples, RATE) for samples in stems))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.6])
def test_a_leak_of_the_vocal_is_found_as_large_as_it_is(share: float) -> None:
    expected_db = 20 * np.log10(share / (1 - share))
    assert stem_quality(leaking(share)).vocal_leak_db == pytest.approx(expected_db, abs=1.5)


def test_the_measured_leak_grows_with_the_leak() -> None:
    measured = [stem_quality(leaking(share)).vocal_leak_db for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)]
    assert all(less < more for less, more in pairwise(measured))
    assert measured[0] < -20


def test_independent_noise_shares_nothing_beyond_chance() -> None:
    one, two = (GENERATOR.normal(size=(640, 513, 2)).astype(np.float32).view(np.complex64)[..., 0] for _ in range(2))
    assert leaked_energy(one, two) < 1e-3 * float(np.sum(np.abs(two) ** 2))
    assert leaked_energy(one, 0.5 * one) == pytest.approx(0.25 * float(np.sum(np.abs(one[:, :512]) ** 2)), rel=1e-3)


def test_what_is_lost_is_the_residual() -> None:
    stems = leaking(0.0)
    assert stem_quality(stems).residual_db < -90
    lost = replace(stems, vocal=Waveform(stems.vocal.samples * np.float32(0.9), RATE))
    energies = [float(np.sum(wave.samples.astype(np.float64) ** 2)) for wave in (stems.vocal, stems.mixture)]
    expected_db = 10 * np.log10(0.01 * energies[0] / energies[1])
    assert stem_quality(lost).residual_db == pytest.approx(expected_db, abs=0.1)


def test_a_band_in_the_vocals_pauses_is_heard() -> None:
    stems = leaking(0.0)
    clean = stem_quality(stems).accompaniment_leak_db
    dirty = replace(stems, vocal=Waveform(stems.vocal.samples + 0.3 * stems.accompaniment.samples, RATE))
    assert clean == FLOOR_DB
    assert -30 < stem_quality(dirty).accompaniment_leak_db < -5


def test_silence_is_clean_and_other_shapes_are_refused() -> None:
    silent = mono_waveform(np.zeros(RATE, np.float32), RATE)
    assert stem_quality(Stems(silent, silent, silent)) == StemQuality(FLOOR_DB, FLOOR_DB, FLOOR_DB)
    with pytest.raises(ValueError, match="expected equal shapes"):
        stem_quality(Stems(silent, silent, mono_waveform(np.zeros(10, np.float32), RATE)))


def test_a_gate_names_the_first_measure_that_is_too_high() -> None:
    gate = StemGate(max_residual_db=-20, max_vocal_leak_db=-10, max_accompaniment_leak_db=-5)
    assert gate.refusal(StemQuality(-30, -11, -6)) is None
    assert gate.refusal(StemQuality(-19.94, -1, -1)) == "residual_db is -19.9; expected at most -20"
    assert gate.refusal(StemQuality(-30, -9, -1)) == "vocal_leak_db is -9.0; expected at most -10"
    assert StemGate(None, None, None).refusal(StemQuality(0, 0, 0)) is None
