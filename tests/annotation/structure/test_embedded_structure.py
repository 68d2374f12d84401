"""The embedded structure labeller on songs of known form, on a real song, and on what it refuses."""

import csv
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation.quality.sections import boundary_agreement, inner_boundaries, section_label_error
from annotation.structure.embedded import EmbeddedStructureLabeller
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection
from levo.song.waveform import Waveform, mono_waveform

_RECORDINGS = Path(__file__).parents[4] / "shared" / "data"
_RATE_HZ = 16_000


def _assert_covers(sections: tuple[TimedSection, ...], duration_s: float) -> None:
    assert sections[0].start_s == 0.0
    assert sections[-1].end_s == duration_s
    for section, follower in itertools.pairwise(sections):
        assert section.end_s == follower.start_s
    assert all(section.start_s < section.end_s for section in sections)


def test_sections_of_long_songs_are_found_from_the_true_vocal(make_song: Callable[..., LabelledSong]) -> None:
    scores, errors = [], []
    for seed in range(6):
        song = make_song(seed, long=True)
        sections = EmbeddedStructureLabeller().label(song.mixture, song.vocal)
        _assert_covers(sections, song.mixture.duration_s)
        truth = inner_boundaries(song.sections)
        scores.append(boundary_agreement(truth, inner_boundaries(sections), tolerance_s=0.5).f_measure)
        errors.append(section_label_error(song.sections, sections))
    assert np.mean(scores) > 0.85
    assert np.mean(errors) < 0.1


def test_without_a_vocal_the_song_is_separated_first(make_song: Callable[..., LabelledSong]) -> None:
    song = make_song(0, long=True)
    sections = EmbeddedStructureLabeller().label(song.mixture, None)
    _assert_covers(sections, song.mixture.duration_s)
    heard = boundary_agreement(inner_boundaries(song.sections), inner_boundaries(sections), tolerance_s=3.0)
    assert heard.f_measure > 0.5


def test_the_sample_rate_does_not_move_the_boundaries(make_song: Callable[..., LabelledSong]) -> None:
    soxr = pytest.importorskip("soxr")
    song = make_song(1, long=True)
    higher = [mono_waveform(soxr.resample(w.mono, _RATE_HZ, 44_100), 44_100) for w in (song.mixture, song.vocal)]
    labeller = EmbeddedStructureLabeller()
    ours, theirs = labeller.label(song.mixture, song.vocal), labeller.label(*higher)
    agreement = boundary_agreement(inner_boundaries(ours), inner_boundaries(theirs), tolerance_s=0.2)
    assert agreement.f_measure == 1.0


def test_silence_is_one_section_of_silence() -> None:
    silence = mono_waveform(np.zeros(5 * _RATE_HZ, np.float32), _RATE_HZ)
    assert EmbeddedStructureLabeller().label(silence, None) == (TimedSection(StructureTag.SILENCE, 0.0, 5.0),)


def test_silence_around_a_song_is_set_apart(make_song: Callable[..., LabelledSong]) -> None:
    song = make_song(2)
    quiet = np.zeros(3 * _RATE_HZ, np.float32)
    padded = [mono_waveform(np.concatenate([quiet, w.mono, quiet]), _RATE_HZ) for w in (song.mixture, song.vocal)]
    sections = EmbeddedStructureLabeller().label(*padded)
    assert sections[0].tag is sections[-1].tag is StructureTag.SILENCE
    assert sections[0].end_s == pytest.approx(3.0, abs=0.2)
    assert sections[-1].start_s == pytest.approx(padded[0].duration_s - 3.0, abs=0.5)


def test_a_song_without_singing_has_no_sung_section(make_song: Callable[..., LabelledSong]) -> None:
    song = make_song(3, long=True)
    nobody = mono_waveform(np.zeros(song.mixture.num_samples, np.float32), _RATE_HZ)
    sections = EmbeddedStructureLabeller().label(song.accompaniment, nobody)
    assert not any(section.tag.is_sung for section in sections)


def test_one_frame_is_enough_and_less_is_refused() -> None:
    noise = np.random.default_rng(0).normal(size=1600).astype(np.float32) * 0.1
    _assert_covers(EmbeddedStructureLabeller().label(mono_waveform(noise, _RATE_HZ), None), 0.1)
    with pytest.raises(ValueError, match=r"mixture lasts 0.0500 s; expected at least 0.1 s"):
        EmbeddedStructureLabeller().label(mono_waveform(noise[:800], _RATE_HZ), None)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "mixture has shape"),
        (np.full(9000, np.nan, np.float32), "mixture is nan at channel 0, sample 0"),
    ],
)
def test_a_mixture_without_usable_sound_is_refused(samples: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddedStructureLabeller().label(mono_waveform(samples, _RATE_HZ), None)


def test_a_vocal_of_another_length_is_refused_with_both(make_song: Callable[..., LabelledSong]) -> None:
    song = make_song(0)
    with pytest.raises(ValueError, match="vocal has 100 samples at 16000 Hz; expected the mixture's"):
        EmbeddedStructureLabeller().label(song.mixture, mono_waveform(song.vocal.mono[:100], _RATE_HZ))


def test_the_digest_names_the_parameters() -> None:
    labeller = EmbeddedStructureLabeller()
    assert labeller.digest == EmbeddedStructureLabeller().digest
    assert labeller.digest != dataclasses.replace(labeller, novelty_threshold=3.0).digest


@pytest.mark.slow
def test_most_of_a_real_song_is_heard_as_sung_where_its_words_are() -> None:
    path = _RECORDINGS / "fantasma.mp3"
    if not path.exists():
        pytest.skip(f"no real recording at {path}")
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mixture = Waveform(np.ascontiguousarray(samples.T), rate)
    sections = EmbeddedStructureLabeller().label(mixture, None)
    _assert_covers(sections, mixture.duration_s)
    with (_RECORDINGS / "fantasma.words.csv").open() as file:
        middles = [(float(row["start_s"]) + float(row["end_s"])) / 2 for row in csv.DictReader(file)]
    sung = [any(s.tag.is_sung and s.start_s <= middle < s.end_s for s in sections) for middle in middles]
    assert np.mean(sung) > 0.75
    assert sections[0].tag is StructureTag.INTRO_MEDIUM
