"""The vocal stream: sung frames <-> codes, code 0 for silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from levo.codec.codebook import Codebook, fit_codebook
from levo.codec.voice_analysis import VoiceFrames, analyse_voice, voice_features
from levo.codec.voice_synthesis import VoiceTable, fit_voice_table
from levo.song.arrays import Array

SILENCE = 0


@dataclass(frozen=True, slots=True)
class VocalStreamConfig:
    """Size of the codebook, and what counts in its distance next to the envelope's shape (weight 1, in nepers)."""

    num_codes: int = 512
    level_weight: float = 0.3
    voicing_weight: float = 0.7
    pitch_weight: float = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class VocalStream:
    """A codebook of sung frames and what each of its codes sounds like."""

    config: VocalStreamConfig
    codebook: Codebook
    table: VoiceTable

    def encode(self, samples: Float32[Array, " sample"]) -> Int32[Array, " frame"]:
        """Codes of a voice; the samples fill whole frames."""
        frames = analyse_voice(samples, self.table.sample_rate_hz, self.table.frame_length)
        return self.quantise(frames)

    def quantise(self, frames: VoiceFrames) -> Int32[Array, " frame"]:
        """Codes of analysed frames."""
        return _codes_of(frames, self.codebook, self.config)

    def arrays(self) -> dict[str, Array]:
        """Everything fitted, by name."""
        return {"vocal.centroids": self.codebook.centroids, **voice_table_arrays("vocal", self.table)}


def fit_vocal_stream(
    frames: VoiceFrames,
    config: VocalStreamConfig,
    sample_rate_hz: int,
    frame_length: int,
    rng: np.random.Generator,
) -> VocalStream:
    """Fit codebook and table on analysed voices."""
    features = _features(frames, config)[~frames.silent]
    codebook = fit_codebook(features, config.num_codes - 1, rng)
    codes = _codes_of(frames, codebook, config)
    table = fit_voice_table(frames, codes, codebook.num_codes + 1, sample_rate_hz, frame_length)
    return VocalStream(config, codebook, table)


def vocal_stream_of(
    config: VocalStreamConfig, arrays: Mapping[str, Array], sample_rate_hz: int, frame_length: int
) -> VocalStream:
    """The stream that gave these arrays."""
    table = voice_table_of("vocal", arrays, sample_rate_hz, frame_length)
    return VocalStream(config, Codebook(arrays["vocal.centroids"]), table)


def voice_table_arrays(name: str, table: VoiceTable) -> dict[str, Array]:
    """A table's arrays under a prefix."""
    return {
        f"{name}.voice.log_bands": table.log_bands,
        f"{name}.voice.voicing": table.voicing,
        f"{name}.voice.f0_hz": table.f0_hz,
        f"{name}.voice.deviation_octaves": table.deviation_octaves,
    }


def voice_table_of(name: str, arrays: Mapping[str, Array], sample_rate_hz: int, frame_length: int) -> VoiceTable:
    """The table that gave these arrays."""
    prefix = f"{name}.voice"
    return VoiceTable(
        arrays[f"{prefix}.log_bands"],
        arrays[f"{prefix}.voicing"],
        arrays[f"{prefix}.f0_hz"],
        arrays[f"{prefix}.deviation_octaves"],
        sample_rate_hz,
        frame_length,
    )


def joined_voice_frames(songs: Sequence[VoiceFrames]) -> VoiceFrames:
    """The frames of several songs, one song after another."""
    return VoiceFrames(
        np.concatenate([song.log_bands for song in songs]),
        np.concatenate([song.voicing for song in songs]),
        np.concatenate([song.f0_hz for song in songs]),
    )


def _features(frames: VoiceFrames, config: VocalStreamConfig) -> Float32[Array, "frame feature"]:
    return voice_features(
        frames,
        level_weight=config.level_weight,
        voicing_weight=config.voicing_weight,
        pitch_weight=config.pitch_weight,
    )


def _codes_of(frames: VoiceFrames, codebook: Codebook, config: VocalStreamConfig) -> Int32[Array, " frame"]:
    codes = codebook.assign(_features(frames, config)) + 1
    return np.where(frames.silent, SILENCE, codes).astype(np.int32)
