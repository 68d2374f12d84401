"""A rendered song is what its plan says, to the sample."""

import itertools

import numpy as np
import pytest

from levo.song.waveform import mono_waveform
from pipelines.rendered.draw import draw_plans, render_training_songs
from pipelines.rendered.glitch import draw_glitches
from pipelines.rendered.song import pcm16, render_song
from pipelines.rendered.voice import Voice


def test_vocal_and_accompaniment_add_up_to_the_mixture_exactly_in_memory_and_in_16_bits(voice: Voice) -> None:
    for song in render_training_songs(8, 0, voice, long_share=0.25):
        np.testing.assert_array_equal(song.vocal.samples + song.accompaniment.samples, song.mixture.samples)
        np.testing.assert_array_equal(pcm16(song.vocal) + pcm16(song.accompaniment), pcm16(song.mixture))
        assert np.abs(song.mixture.samples).max() < 0.9
        assert np.abs(song.vocal.samples).max() > 0.05
        assert np.abs(song.accompaniment.samples).max() > 0.05


def test_words_lie_on_the_beat_grid_and_phonemes_inside_their_words_in_order(voice: Voice) -> None:
    for plan in draw_plans("song", 12, 0, voice.config, long_share=0.25):
        song = render_song(plan, voice)
        beat_s = 60 / song.tempo_bpm
        for word, note in zip(song.words, plan.sung_notes, strict=True):
            assert word.word == note.word
            assert word.start_s == pytest.approx(note.beat * beat_s)
            assert word.end_s == pytest.approx((note.beat + 1) * beat_s)
        rest = list(song.phonemes)
        for word in song.words:
            inside = rest[: len(voice.lexicon[word.word])]
            rest = rest[len(inside) :]
            assert tuple(item.phoneme for item in inside) == voice.lexicon[word.word]
            assert inside[0].start_s == word.start_s
            assert inside[-1].end_s == pytest.approx(word.end_s)
            assert all(item.start_s < item.end_s for item in inside)
            assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(inside))
        assert not rest


def test_sections_tile_the_song_and_nothing_is_sung_in_instrumental_ones(voice: Voice) -> None:
    for plan in draw_plans("song", 12, 1, voice.config, long_share=0.5):
        song = render_song(plan, voice)
        assert song.sections[0].start_s == 0
        assert song.sections[-1].end_s == pytest.approx(song.mixture.duration_s)
        assert song.mixture.duration_s == plan.duration_s
        for section, lyrics in zip(song.sections, song.lyrics.sections, strict=True):
            rate_hz = song.vocal.sample_rate_hz
            sung = song.vocal.mono[round(section.start_s * rate_hz) : round(section.end_s * rate_hz)]
            assert bool(sung.any()) == section.tag.is_sung == bool(lyrics.words)


def test_rendering_twice_gives_the_same_bytes(voice: Voice) -> None:
    for plan in draw_plans("song", 3, 2, voice.config):
        first, second = render_song(plan, voice), render_song(plan, voice)
        assert first.mixture.samples.tobytes() == second.mixture.samples.tobytes()
        assert first.vocal.samples.tobytes() == second.vocal.samples.tobytes()


def test_glitches_change_the_accompaniment_and_never_the_voice(voice: Voice) -> None:
    plan = draw_plans("song", 1, 3, voice.config)[0]
    clean = render_song(plan, voice)
    glitched = render_song(plan, voice, draw_glitches(np.random.default_rng(0), plan.num_beats))
    np.testing.assert_array_equal(clean.vocal.samples, glitched.vocal.samples)
    assert (clean.accompaniment.samples != glitched.accompaniment.samples).mean() > 0.1
    np.testing.assert_array_equal(glitched.vocal.samples + glitched.accompaniment.samples, glitched.mixture.samples)


def test_songs_of_another_purpose_or_seed_are_other_songs(voice: Voice) -> None:
    texts = [
        {song.lyrics.text for song in render_training_songs(5, seed, voice, purpose=purpose)}
        for seed, purpose in ((0, "codec"), (0, "recogniser"), (1, "codec"))
    ]
    assert len(set.union(*texts)) == 15


def test_a_waveform_that_would_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"peak 1\.500"):
        pcm16(mono_waveform(np.array([0.0, 1.5], np.float32), 16000))
