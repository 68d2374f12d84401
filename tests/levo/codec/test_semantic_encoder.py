"""The semantic encoder's targets by arithmetic, and what it hears in songs that are new to it."""

import numpy as np
import pytest

from levo.codec.semantic import SemanticConfig, semantic_features
from levo.codec.semantic_training import phoneme_shares, train_semantic_encoder
from levo.song.labelled import LabelledSong
from levo.song.timing import TimedPhoneme

_RATE_HZ, _FRAME = 16000, 640


def test_a_frame_is_shared_by_the_time_of_each_phoneme_in_it() -> None:
    timed = (TimedPhoneme("a", 0.01, 0.05), TimedPhoneme("b", 0.05, 0.08))
    shares = phoneme_shares(timed, ("", "a", "b"), 3, 25)
    expected = np.array([[0.25, 0.75, 0], [0, 0.25, 0.75], [1, 0, 0]])
    np.testing.assert_allclose(shares, expected, atol=1e-6)


def test_the_shares_of_a_rendered_song_are_distributions(codec_songs: list[LabelledSong]) -> None:
    song = codec_songs[0]
    phonemes = ("", *sorted({item.phoneme for item in song.phonemes}))
    shares = phoneme_shares(song.phonemes, phonemes, song.mixture.num_samples // _FRAME, 25)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    sung_s = sum(item.end_s - item.start_s for item in song.phonemes)
    assert shares[:, 1:].sum() / 25 == pytest.approx(sung_s, abs=0.01)


def test_phonemes_of_new_songs_are_told_apart(codec_songs: list[LabelledSong]) -> None:
    config = SemanticConfig(width=64, num_steps=150)
    phonemes = ("", *sorted({item.phoneme for song in codec_songs for item in song.phonemes}))
    features = [semantic_features(song.mixture.mono, _RATE_HZ, _FRAME, config) for song in codec_songs]
    shares = [
        phoneme_shares(song.phonemes, phonemes, rows.shape[0], 25)
        for song, rows in zip(codec_songs, features, strict=True)
    ]
    encoder = train_semantic_encoder(features[:10], shares[:10], phonemes, config, _RATE_HZ, _FRAME, seed=0)
    hits = [
        encoder.hear(song.mixture.mono).posteriors.argmax(axis=1) == truth.argmax(axis=1)
        for song, truth in zip(codec_songs[10:], shares[10:], strict=True)
    ]
    chance = max(np.concatenate(shares[10:]).mean(axis=0))
    assert np.concatenate(hits).mean() > max(0.6, 2 * chance)


def test_training_is_repeatable_and_its_seed_counts(codec_songs: list[LabelledSong]) -> None:
    config = SemanticConfig(width=16, num_steps=3)
    features = [semantic_features(song.mixture.mono, _RATE_HZ, _FRAME, config) for song in codec_songs[:2]]
    shares = [np.eye(2, dtype=np.float32)[np.zeros(rows.shape[0], int)] for rows in features]

    def weights(seed: int) -> bytes:
        encoder = train_semantic_encoder(features, shares, ("", "a"), config, _RATE_HZ, _FRAME, seed)
        return b"".join(value.tobytes() for value in encoder.arrays().values())

    assert weights(1) == weights(1) != weights(2)
