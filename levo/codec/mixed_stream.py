"""The mixed stream: what is sung and how the whole sounds, in one code a frame; code 0 for silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int32

from levo.codec.accompaniment_analysis import AccompanimentFrames
from levo.codec.accompaniment_stream import accompaniment_table_arrays, accompaniment_table_of
from levo.codec.accompaniment_synthesis import AccompanimentTable, fit_accompaniment_table
from levo.codec.codebook import Codebook, fit_codebook
from levo.codec.projection import Projection, fit_projection
from levo.codec.semantic import HeardFrames, SemanticConfig, SemanticEncoder, semantic_encoder_of
from levo.codec.vocal_stream import voice_table_arrays, voice_table_of
from levo.codec.voice_analysis import VoiceFrames
from levo.codec.voice_synthesis import VoiceTable, fit_voice_table
from levo.song.arrays import Array

SILENCE = 0


@dataclass(frozen=True, slots=True)
class MixedStreamConfig:
    """Size of the codebook and of its feature spaces, and how much what is sung counts against how it sounds."""

    num_codes: int = 512
    num_semantic_components: int = 24
    num_acoustic_components: int = 24
    semantic_weight: float = 1.5
    acoustic_weight: float = 0.375
    semantic: SemanticConfig = field(default_factory=SemanticConfig)


@dataclass(frozen=True, slots=True, eq=False)
class MixedStream:
    """A codebook of semantic and acoustic features, and the mean voice and accompaniment of each of its codes."""

    config: MixedStreamConfig
    encoder: SemanticEncoder
    semantic: Projection
    acoustic: Projection
    codebook: Codebook
    voice: VoiceTable
    accompaniment: AccompanimentTable

    def encode(self, mixture: Float32[Array, " sample"], silent: Bool[Array, " frame"]) -> Int32[Array, " frame"]:
        """Codes of a mixture that fills whole frames; `silent` where both stems are."""
        features = _features(self.encoder.hear(mixture), self.semantic, self.acoustic, self.config)
        return np.where(silent, SILENCE, self.codebook.assign(features) + 1).astype(np.int32)

    def synthesise(self, codes: Int32[Array, " frame"]) -> Float32[Array, " sample"]:
        """The mean song of each code; samples of whole frames."""
        return self.voice.synthesise(codes) + self.accompaniment.synthesise(codes)

    def arrays(self) -> dict[str, Array]:
        """Everything fitted, by name."""
        return {
            "mixed.semantic.mean": self.semantic.mean,
            "mixed.semantic.directions": self.semantic.directions,
            "mixed.acoustic.mean": self.acoustic.mean,
            "mixed.acoustic.directions": self.acoustic.directions,
            "mixed.centroids": self.codebook.centroids,
            **voice_table_arrays("mixed", self.voice),
            **accompaniment_table_arrays("mixed", self.accompaniment),
            **self.encoder.arrays(),
        }


def fit_mixed_stream(
    heard: HeardFrames,
    voice: VoiceFrames,
    accompaniment: AccompanimentFrames,
    encoder: SemanticEncoder,
    config: MixedStreamConfig,
    rng: np.random.Generator,
) -> MixedStream:
    """Fit on the frames of mixtures and of their stems."""
    semantic = fit_projection(np.sqrt(heard.posteriors), config.num_semantic_components)
    acoustic = fit_projection(heard.levels, config.num_acoustic_components)
    features = _features(heard, semantic, acoustic, config)
    silent = voice.silent & accompaniment.silent
    codebook = fit_codebook(features[~silent], config.num_codes - 1, rng)
    codes = np.where(silent, SILENCE, codebook.assign(features) + 1).astype(np.int32)
    num_codes, rate, length = codebook.num_codes + 1, encoder.sample_rate_hz, encoder.frame_length
    return MixedStream(
        config,
        encoder,
        semantic,
        acoustic,
        codebook,
        fit_voice_table(voice, codes, num_codes, rate, length),
        fit_accompaniment_table(accompaniment, codes, num_codes, rate, length),
    )


def mixed_stream_of(
    config: MixedStreamConfig,
    phonemes: tuple[str, ...],
    arrays: Mapping[str, Array],
    sample_rate_hz: int,
    frame_length: int,
) -> MixedStream:
    """The stream that gave these arrays."""
    return MixedStream(
        config,
        semantic_encoder_of(config.semantic, phonemes, arrays, sample_rate_hz, frame_length),
        Projection(arrays["mixed.semantic.mean"], arrays["mixed.semantic.directions"]),
        Projection(arrays["mixed.acoustic.mean"], arrays["mixed.acoustic.directions"]),
        Codebook(arrays["mixed.centroids"]),
        voice_table_of("mixed", arrays, sample_rate_hz, frame_length),
        accompaniment_table_of("mixed", arrays, sample_rate_hz, frame_length),
    )


def joined_heard_frames(songs: Sequence[HeardFrames]) -> HeardFrames:
    """The frames of several songs, one song after another."""
    return HeardFrames(
        np.concatenate([song.posteriors for song in songs]), np.concatenate([song.levels for song in songs])
    )


def _features(
    heard: HeardFrames, semantic: Projection, acoustic: Projection, config: MixedStreamConfig
) -> Float32[Array, "frame feature"]:
    return np.concatenate(
        [
            semantic.project(np.sqrt(heard.posteriors)) * np.float32(config.semantic_weight),
            acoustic.project(heard.levels) * np.float32(config.acoustic_weight),
        ],
        axis=1,
    )
