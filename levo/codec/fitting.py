"""Fitting the embedded codec: analyse the stems, teach the semantic encoder, then fit a codebook for each stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from levo.codec.accompaniment_analysis import analyse_accompaniment
from levo.codec.accompaniment_stream import (
    AccompanimentStream,
    fit_accompaniment_stream,
    joined_accompaniment_frames,
)
from levo.codec.config import EmbeddedCodecConfig
from levo.codec.intake import fitted_to, mono_at_rate, num_frames_of
from levo.codec.mixed_stream import MixedStream, fit_mixed_stream, joined_heard_frames
from levo.codec.semantic import SemanticEncoder, semantic_features
from levo.codec.semantic_training import NO_PHONEME, phoneme_shares, train_semantic_encoder
from levo.codec.vocal_stream import VocalStream, fit_vocal_stream, joined_voice_frames
from levo.codec.voice_analysis import analyse_voice
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class FittedStreams:
    """The three streams of a codec."""

    mixed: MixedStream
    vocal: VocalStream
    accompaniment: AccompanimentStream


def fit_streams(songs: Sequence[LabelledSong], seed: int, config: EmbeddedCodecConfig) -> FittedStreams:
    """Fit everything; the same songs and seed give the same streams. Raises `ValueError` for no songs."""
    if not songs:
        raise ValueError("no songs to fit a codec on; expected at least one")
    rate, length = config.sample_rate_hz, config.frame_length
    voice = joined_voice_frames([analyse_voice(_samples(song.vocal, config), rate, length) for song in songs])
    accompaniment = joined_accompaniment_frames(
        [analyse_accompaniment(_samples(song.accompaniment, config), rate, length) for song in songs]
    )
    encoder = _taught_encoder(songs, seed, config)
    heard = joined_heard_frames([encoder.hear(_samples(song.mixture, config)) for song in songs])
    mixed_rng, vocal_rng, accompaniment_rng = np.random.default_rng(seed).spawn(3)
    return FittedStreams(
        fit_mixed_stream(heard, voice, accompaniment, encoder, config.mixed, mixed_rng),
        fit_vocal_stream(voice, config.vocal, rate, length, vocal_rng),
        fit_accompaniment_stream(accompaniment, config.accompaniment, rate, length, accompaniment_rng),
    )


def _taught_encoder(songs: Sequence[LabelledSong], seed: int, config: EmbeddedCodecConfig) -> SemanticEncoder:
    semantic, rate, length = config.mixed.semantic, config.sample_rate_hz, config.frame_length
    phonemes = (NO_PHONEME, *sorted({item.phoneme for song in songs for item in song.phonemes}))
    features = [semantic_features(_samples(song.mixture, config), rate, length, semantic) for song in songs]
    shares = [
        phoneme_shares(song.phonemes, phonemes, rows.shape[0], config.frame_rate_hz)
        for song, rows in zip(songs, features, strict=True)
    ]
    return train_semantic_encoder(features, shares, phonemes, semantic, rate, length, seed)


def _samples(waveform: Waveform, config: EmbeddedCodecConfig) -> Float32[Array, " sample"]:
    num_frames = num_frames_of(waveform, config.frame_rate_hz)
    return fitted_to(mono_at_rate(waveform, config.sample_rate_hz), num_frames * config.frame_length)
