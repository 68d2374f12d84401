"""The embedded tagger on songs of known style: what it hears, what it leaves open, and how it is stored."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation.quality.tempo import tempo_agrees
from annotation.tags.embedded import ATTRIBUTES, EmbeddedTagger
from annotation.tags.protocol import NO_TAGS, TagEstimate, Tags
from levo.codec.stems import Stems, stems_of
from levo.song.arrays import Array
from levo.song.description import Description
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform

_RATE_HZ = 16_000
_VOCABULARY = {
    "voice": ("female", "male"),
    "tempo": ("slow", "medium", "fast"),
    "instrument": ("plucked", "held"),
    "mood": ("bright", "dark"),
    "drums": ("drums", "no drums"),
}


@pytest.fixture(scope="module")
def songs(make_song: Callable[..., LabelledSong]) -> list[LabelledSong]:
    return [make_song(seed) for seed in range(48)]


@pytest.fixture(scope="module")
def tagger(songs: list[LabelledSong]) -> EmbeddedTagger:
    taught = songs[:32]
    return EmbeddedTagger.fit([stems_of(song) for song in taught], [song.description for song in taught], _VOCABULARY)


def test_songs_it_was_not_fitted_on_get_their_tags(tagger: EmbeddedTagger, songs: list[LabelledSong]) -> None:
    heard = [tagger.tag(stems_of(song)) for song in songs[32:]]
    for place, attribute in enumerate(ATTRIBUTES):
        right = [
            tags.description_tags[place] == song.description.tags[place]
            for tags, song in zip(heard, songs[32:], strict=True)
        ]
        assert np.mean(right) >= 0.9, attribute
    assert np.mean([tempo_agrees(s.tempo_bpm, t.tempo_bpm) for s, t in zip(songs[32:], heard, strict=True)]) >= 0.9


def test_level_rate_and_channels_change_no_tag(tagger: EmbeddedTagger, songs: list[LabelledSong]) -> None:
    soxr = pytest.importorskip("soxr")

    def other(stem: Waveform) -> Waveform:
        louder = soxr.resample(1.8 * stem.mono, _RATE_HZ, 44_100)
        return Waveform(np.stack([louder, louder]), 44_100)

    for song in songs[32:36]:
        altered = Stems(other(song.vocal), other(song.accompaniment), other(song.mixture))
        assert tagger.tag(altered).description_tags == tagger.tag(stems_of(song)).description_tags


def test_silent_stems_give_no_tags(tagger: EmbeddedTagger, songs: list[LabelledSong]) -> None:
    song = songs[0]
    silence = mono_waveform(np.zeros(song.mixture.num_samples, np.float32), _RATE_HZ)
    assert tagger.tag(Stems(silence, silence, silence)) == NO_TAGS
    assert tagger.tag(Stems(silence, song.accompaniment, song.accompaniment)).voice is None
    alone = tagger.tag(Stems(song.vocal, silence, song.vocal))
    assert alone.voice is not None
    assert alone.instrument is alone.mood is alone.drums is None


def test_a_stored_tagger_is_the_same_tagger(tagger: EmbeddedTagger, songs: list[LabelledSong], tmp_path: Path) -> None:
    tagger.save(tmp_path / "tagger")
    again = EmbeddedTagger.load(tmp_path / "tagger")
    assert again.digest == tagger.digest
    assert again.tag(stems_of(songs[41])) == tagger.tag(stems_of(songs[41]))


def test_another_fit_has_another_digest(tagger: EmbeddedTagger, songs: list[LabelledSong]) -> None:
    fewer = songs[:28]
    other = EmbeddedTagger.fit([stems_of(s) for s in fewer], [s.description for s in fewer], _VOCABULARY)
    assert other.digest != tagger.digest


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "vocal has shape"),
        (np.zeros(100, np.float32), "vocal lasts 0.0063 s; expected at least 0.1 s"),
        (np.full(9000, np.nan, np.float32), "vocal is nan at channel 0, sample 0"),
    ],
)
def test_a_stem_without_usable_sound_is_refused(tagger: EmbeddedTagger, samples: Array, message: str) -> None:
    stem = mono_waveform(samples, _RATE_HZ)
    with pytest.raises(ValueError, match=message):
        tagger.tag(Stems(stem, stem, stem))


def test_a_vocabulary_or_songs_that_teach_too_little_are_refused(songs: list[LabelledSong]) -> None:
    with pytest.raises(ValueError, match=r"vocabulary lacks the attributes \['tempo'"):
        EmbeddedTagger.fit([], [], {"voice": ("female", "male")})
    stems = [stems_of(song) for song in songs[:4]]
    with pytest.raises(ValueError, match=r"no song teaches the voice tags \['female', 'male'\]"):
        EmbeddedTagger.fit(stems, [Description(("drums",))] * 4, _VOCABULARY)


def test_description_tags_keep_their_order_and_leave_out_what_was_not_heard() -> None:
    tags = Tags(TagEstimate("male", 0.9), None, TagEstimate("organ", 0.8), None, TagEstimate("drums", 1.0), 120.0)
    assert tags.description_tags == ("male", "organ", "drums")
    assert NO_TAGS.description_tags == ()
