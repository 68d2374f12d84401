"""The embedded annotators on the embedded world's songs: least figures that the corpus report can count on."""

from pathlib import Path

import numpy as np
import pytest

from annotation.quality.sections import boundary_agreement, inner_boundaries
from annotation.quality.stems import signal_to_distortion_ratio_db
from annotation.quality.tempo import tempo_agrees
from annotation.separation.embedded import EmbeddedSeparator
from annotation.structure.embedded import EmbeddedStructureLabeller
from annotation.tags.embedded import EmbeddedTagger
from levo.codec.stems import stems_of
from levo.song.labelled import LabelledSong
from pipelines.rendered.plan import plan_song
from pipelines.rendered.song import render_song
from pipelines.rendered.voice import Voice, open_voice
from pipelines.rendered.world import TAG_VOCABULARY, WorldConfig

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    pytest.importorskip("espeakng_loader", reason="rendering needs the demo extra")
    bank: Path = tmp_path_factory.mktemp("bank")
    return open_voice(WorldConfig(), bank)


def _songs(voice: Voice, count: int, *, long: bool = False) -> list[LabelledSong]:
    plans = [plan_song(f"annotators-{number}", 0, voice.config, long=long) for number in range(count)]
    return [render_song(plan, voice) for plan in plans]


def test_separation_gains_four_decibels_on_each_stem(voice: Voice) -> None:
    for long, count in ((False, 16), (True, 4)):
        gains = []
        for song in _songs(voice, count, long=long):
            stems = EmbeddedSeparator().separate(song.mixture)
            for truth, estimate in ((song.vocal, stems.vocal), (song.accompaniment, stems.accompaniment)):
                before = signal_to_distortion_ratio_db(truth.mono, song.mixture.mono)
                gains.append(signal_to_distortion_ratio_db(truth.mono, estimate.mono) - before)
        assert np.mean(gains) > 4.0


def test_boundaries_of_long_songs_are_found_with_true_and_with_separated_vocals(voice: Voice) -> None:
    labeller, separator = EmbeddedStructureLabeller(), EmbeddedSeparator()
    with_true: list[float] = []
    with_separated: list[float] = []
    for song in _songs(voice, 10, long=True):
        truth = inner_boundaries(song.sections)
        for scores, vocal in ((with_true, song.vocal), (with_separated, separator.separate(song.mixture).vocal)):
            found = inner_boundaries(labeller.label(song.mixture, vocal))
            scores.append(boundary_agreement(truth, found, tolerance_s=0.5).f_measure)
    assert np.mean(with_true) > 0.85
    assert np.mean(with_separated) > 0.55


def test_tags_and_tempo_are_heard_in_songs_it_was_not_fitted_on(voice: Voice) -> None:
    songs = _songs(voice, 160)
    taught, heard = songs[:120], songs[120:]
    tagger = EmbeddedTagger.fit([stems_of(s) for s in taught], [s.description for s in taught], TAG_VOCABULARY)
    tags = [tagger.tag(stems_of(song)) for song in heard]
    right = [t.description_tags == song.description.tags for t, song in zip(tags, heard, strict=True)]
    assert np.mean(right) > 0.9
    assert all(tempo_agrees(song.tempo_bpm, t.tempo_bpm) for t, song in zip(tags, heard, strict=True))
