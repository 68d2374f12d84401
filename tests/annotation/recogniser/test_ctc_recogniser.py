"""The CTC recogniser, trained for seconds: it hears songs that are new to it, and the same in every batch."""

from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.training import RecogniserProgress, RecogniserTrainingConfig, train_recogniser
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform, mono_waveform


def _error_rate(songs: list[LabelledSong], heard: list[tuple[str, ...]]) -> float:
    truth = [" ".join(item.phoneme for item in song.phonemes) for song in songs]
    return float(jiwer.wer(truth, [" ".join(names) for names in heard]))


def test_new_songs_are_understood_and_other_songs_lyrics_do_not_fit(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    heard = [item.phoneme_names for item in small_recogniser.transcribe([song.mixture for song in unheard_songs])]
    assert _error_rate(unheard_songs, heard) < 0.3
    for song, other, names in zip(unheard_songs, [*unheard_songs[1:], unheard_songs[0]], heard, strict=True):
        # All songs of this small world are made of the same six words: only their order tells them apart.
        assert _error_rate([other], [names]) > _error_rate([song], [names]) + 0.25


def test_words_are_found_where_they_are_sung(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    song = unheard_songs[0]
    transcript = small_recogniser.transcribe([song.vocal])[0]
    assert jiwer.wer(" ".join(word.word for word in song.words), " ".join(transcript.word_names)) < 0.3
    starts = np.array([word.start_s for word in song.words])
    away = [np.abs(starts - word.start_s).min() for word in transcript.words]
    assert np.median(away) < 0.08


def test_known_phonemes_are_aligned_to_their_times(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    song = unheard_songs[1]
    aligned = small_recogniser.align(song.vocal, [item.phoneme for item in song.phonemes])
    assert [item.phoneme for item in aligned] == [item.phoneme for item in song.phonemes]
    away = [abs(found.start_s - true.start_s) for found, true in zip(aligned, song.phonemes, strict=True)]
    assert np.median(away) < 0.06


def test_a_transcript_does_not_depend_on_its_batch(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    waveforms = [song.mixture for song in unheard_songs]
    together = small_recogniser.transcribe(waveforms)
    assert together == [small_recogniser.transcribe([waveform])[0] for waveform in waveforms]
    assert together[::-1] == small_recogniser.transcribe(waveforms[::-1])


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), num_samples=st.integers(1, 30_000), level=st.sampled_from([0.0, 1e-3, 0.5]))
def test_phonemes_of_any_sound_lie_in_order_within_it(
    small_recogniser: CtcRecogniser, seed: int, num_samples: int, level: float
) -> None:
    noise = level * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)
    waveform = mono_waveform(noise, 16000)
    transcript = small_recogniser.transcribe([waveform])[0]
    edges = [edge for item in transcript.phonemes for edge in (item.start_s, item.end_s)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= waveform.duration_s + 0.02 for edge in edges)
    assert 0 <= transcript.confidence <= 1


def test_nothing_is_heard_in_silence(small_recogniser: CtcRecogniser) -> None:
    transcript = small_recogniser.transcribe([mono_waveform(np.zeros(32000, np.float32), 16000)])[0]
    assert transcript.phonemes == ()
    assert transcript.words == ()


def test_a_stereo_song_at_another_rate_is_understood_as_well(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong]
) -> None:
    import soxr

    mixtures = [song.mixture for song in unheard_songs]
    doubled = [
        Waveform(np.stack([soxr.resample(item.mono, 16000, 44100)] * 2).astype(np.float32), 44100) for item in mixtures
    ]
    plain, converted = (
        [item.phoneme_names for item in small_recogniser.transcribe(songs)] for songs in (mixtures, doubled)
    )
    assert abs(_error_rate(unheard_songs, plain) - _error_rate(unheard_songs, converted)) < 0.05


def test_a_saved_recogniser_hears_the_same(
    small_recogniser: CtcRecogniser, unheard_songs: list[LabelledSong], tmp_path: Path
) -> None:
    small_recogniser.save(tmp_path / "recogniser")
    loaded = CtcRecogniser.load(tmp_path / "recogniser")
    assert loaded.digest == small_recogniser.digest
    waveforms = [song.mixture for song in unheard_songs[:2]]
    assert loaded.transcribe(waveforms) == small_recogniser.transcribe(waveforms)


def test_training_is_repeatable_and_its_seed_counts(
    heard_songs: list[LabelledSong], small_lexicon: Lexicon, short_training: RecogniserTrainingConfig
) -> None:
    steps: list[RecogniserProgress] = []

    def digest(seed: int) -> str:
        songs = heard_songs[:3]
        config = replace(short_training, num_steps=3)
        mixtures = [song.mixture for song in songs]
        return train_recogniser(songs, mixtures, small_lexicon, seed, config, steps.append).digest

    assert digest(1) == digest(1) != digest(2)
    assert [item.step for item in steps] == [1, 2, 3] * 3
    assert steps[:3] == steps[3:6] != steps[6:]


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.full((1, 100), np.nan, np.float32), "100 of 100 samples are not finite"),
        (np.zeros((1, 0), np.float32), r"shape \(1, 0\)"),
    ],
)
def test_unusable_sound_is_refused(
    small_recogniser: CtcRecogniser, samples: np.ndarray[tuple[int, int], np.dtype[np.float32]], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        small_recogniser.transcribe([Waveform(samples, 16000)])


def test_unknown_phonemes_and_missing_mixtures_are_named(
    small_recogniser: CtcRecogniser, heard_songs: list[LabelledSong], small_lexicon: Lexicon
) -> None:
    with pytest.raises(ValueError, match=r"phonemes \['qq'\] are not in the lexicon"):
        small_recogniser.align(heard_songs[0].vocal, ["qq"])
    with pytest.raises(ValueError, match="2 songs and 1 decoded mixtures"):
        train_recogniser(heard_songs[:2], [heard_songs[0].mixture], small_lexicon, 0)
