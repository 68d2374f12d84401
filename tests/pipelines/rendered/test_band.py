"""The band: what the tags say can be heard, and it keeps the beat."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float64

from levo.song.arrays import Array
from pipelines.rendered.band import play_accompaniment
from pipelines.rendered.instruments import TIMBRES, hit_hat, play_note
from pipelines.rendered.plan import SongPlan, plan_song
from pipelines.rendered.syllable import pitch_hz
from pipelines.rendered.world import Instrument, Mood, WorldConfig

_CONFIG = WorldConfig()
_RATE_HZ = _CONFIG.sample_rate_hz


def _play(plan: SongPlan) -> Float64[Array, " sample"]:
    return play_accompaniment(plan, _CONFIG.samples_per_frame, _RATE_HZ).astype(np.float64)


def _plan(seed: int, **style: object) -> SongPlan:
    plan = plan_song("song", seed, _CONFIG)
    return replace(plan, style=replace(plan.style, **style))  # type: ignore[arg-type]


def _centroid_hz(samples: Float64[Array, " sample"]) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / _RATE_HZ)).sum() / power.sum())


def _shape(samples: Float64[Array, " sample"]) -> Float64[Array, " feature"]:
    """Log energies in half-octave bands, and how much the loudness moves: a crude ear for timbre."""
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(3, 256, 14).astype(int))
    bands = np.stack([power[:, a:b].sum(1) for a, b in itertools.pairwise(edges)], axis=1)
    level = np.log(frames.var(axis=1) + 1e-9)
    shape: Float64[Array, " feature"] = np.append(np.log(bands.mean(0) / bands.mean(0).sum() + 1e-4), 3 * level.std())
    return shape


def test_instruments_can_be_told_apart_in_songs_that_were_not_heard_before() -> None:
    def shapes(seeds: range) -> dict[Instrument, Float64[Array, "song feature"]]:
        return {
            instrument: np.stack([_shape(_play(_plan(seed, instrument=instrument, has_drums=False))) for seed in seeds])
            for instrument in Instrument
        }

    heard, unheard = shapes(range(6)), shapes(range(10, 14))
    spread = np.concatenate([songs - songs.mean(axis=0) for songs in heard.values()]).std(axis=0)
    right = 0
    for instrument, songs in unheard.items():
        for song in songs:
            distances = {
                name: float((((song - others) / spread) ** 2).sum(axis=1).min()) for name, others in heard.items()
            }
            right += min(distances, key=lambda name: distances[name]) is instrument
    assert right >= 15


def test_drums_add_highs_that_are_absent_without_the_tag() -> None:
    for seed in range(4):
        without, with_drums = (
            _play(_plan(seed, instrument=Instrument.PIANO, has_drums=drums)) for drums in (False, True)
        )
        spectra = [np.abs(np.fft.rfft(samples)) ** 2 for samples in (without, with_drums)]
        highs = [spectrum[int(0.8 * len(spectrum)) :].sum() for spectrum in spectra]
        assert highs[1] > 20 * highs[0]


def test_dark_songs_are_voiced_lower_than_bright_ones() -> None:
    for seed in range(4):
        bright, dark = (_centroid_hz(_play(_plan(seed, mood=mood, has_drums=False))) for mood in Mood)
        assert dark < bright or plan_song("song", seed, _CONFIG).style.mood is Mood.BRIGHT
    pitches = {mood: _plan(0, mood=mood).sections[0].bars[0].chord for mood in Mood}
    assert max(pitches[Mood.DARK].voiced(47)) < min(pitches[Mood.BRIGHT].voiced(59))


def test_the_loudest_rises_lie_on_the_beat_grid() -> None:
    plan = _plan(1, has_drums=True, instrument=Instrument.PIANO)
    samples_per_beat = _CONFIG.samples_per_frame * plan.style.tempo.frames_per_beat
    hop = 80
    samples = _play(plan)
    level = np.log10(samples[: len(samples) // hop * hop].reshape(-1, hop).var(axis=1) + 1e-6)
    rises = np.maximum(np.diff(level), 0)
    hops_per_beat = samples_per_beat // hop
    by_phase = np.bincount((np.arange(len(rises)) + 1) % hops_per_beat, weights=rises, minlength=hops_per_beat)
    assert int(by_phase.argmax()) in (0, 1)


def test_the_accompaniment_is_as_long_as_the_song_and_never_loud() -> None:
    for seed in range(20):
        plan = plan_song("song", seed, _CONFIG)
        samples = _play(plan)
        assert len(samples) == plan.num_frames * _CONFIG.samples_per_frame
        assert np.abs(samples).max() <= 0.45


@pytest.mark.parametrize("instrument", list(Instrument))
def test_a_note_has_its_pitch_and_ends_in_silence(instrument: Instrument) -> None:
    note = play_note(TIMBRES[instrument], 60, _RATE_HZ, _RATE_HZ)
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
    near = slice(200, 330)
    peak_hz = 200 + int(spectrum[near].argmax())
    assert abs(peak_hz - pitch_hz(60)) < 4
    assert abs(note[-1]) < 0.01
    assert np.sqrt(np.mean(note[: _RATE_HZ // 4] ** 2)) == pytest.approx(1, rel=1e-5)


def test_cached_sounds_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        hit_hat(_RATE_HZ)[0] = 1.0
