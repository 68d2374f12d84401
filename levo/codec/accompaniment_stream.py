"""The accompaniment stream: played frames <-> codes, code 0 for silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from levo.codec.accompaniment_analysis import AccompanimentFrames, accompaniment_features, analyse_accompaniment
from levo.codec.accompaniment_synthesis import AccompanimentTable, fit_accompaniment_table
from levo.codec.codebook import Codebook, fit_codebook
from levo.codec.projection import Projection, fit_projection
from levo.song.arrays import Array

SILENCE = 0


@dataclass(frozen=True, slots=True)
class AccompanimentStreamConfig:
    """Size of the codebook, of its feature space, and how much pitches count against levels (in nepers)."""

    num_codes: int = 512
    num_components: int = 48
    pitch_weight: float = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class AccompanimentStream:
    """A codebook of played frames and what each of its codes sounds like."""

    config: AccompanimentStreamConfig
    projection: Projection
    codebook: Codebook
    table: AccompanimentTable

    def encode(self, samples: Float32[Array, " sample"]) -> Int32[Array, " frame"]:
        """Codes of an accompaniment; the samples fill whole frames."""
        return self.quantise(analyse_accompaniment(samples, self.table.sample_rate_hz, self.table.frame_length))

    def quantise(self, frames: AccompanimentFrames) -> Int32[Array, " frame"]:
        """Codes of analysed frames."""
        return _codes_of(frames, self.projection, self.codebook, self.config)

    def arrays(self) -> dict[str, Array]:
        """Everything fitted, by name."""
        return {
            "accompaniment.mean": self.projection.mean,
            "accompaniment.directions": self.projection.directions,
            "accompaniment.centroids": self.codebook.centroids,
            **accompaniment_table_arrays("accompaniment", self.table),
        }


def fit_accompaniment_stream(
    frames: AccompanimentFrames,
    config: AccompanimentStreamConfig,
    sample_rate_hz: int,
    frame_length: int,
    rng: np.random.Generator,
) -> AccompanimentStream:
    """Fit feature space, codebook and table on analysed accompaniments."""
    features = accompaniment_features(frames, pitch_weight=config.pitch_weight)[~frames.silent]
    projection = fit_projection(features, config.num_components)
    codebook = fit_codebook(projection.project(features), config.num_codes - 1, rng)
    codes = _codes_of(frames, projection, codebook, config)
    table = fit_accompaniment_table(frames, codes, codebook.num_codes + 1, sample_rate_hz, frame_length)
    return AccompanimentStream(config, projection, codebook, table)


def accompaniment_stream_of(
    config: AccompanimentStreamConfig, arrays: Mapping[str, Array], sample_rate_hz: int, frame_length: int
) -> AccompanimentStream:
    """The stream that gave these arrays."""
    return AccompanimentStream(
        config,
        Projection(arrays["accompaniment.mean"], arrays["accompaniment.directions"]),
        Codebook(arrays["accompaniment.centroids"]),
        accompaniment_table_of("accompaniment", arrays, sample_rate_hz, frame_length),
    )


def accompaniment_table_arrays(name: str, table: AccompanimentTable) -> dict[str, Array]:
    """A table's arrays under a prefix."""
    return {f"{name}.band.log_bands": table.log_bands, f"{name}.band.shares": table.shares}


def accompaniment_table_of(
    name: str, arrays: Mapping[str, Array], sample_rate_hz: int, frame_length: int
) -> AccompanimentTable:
    """The table that gave these arrays."""
    return AccompanimentTable(
        arrays[f"{name}.band.log_bands"], arrays[f"{name}.band.shares"], sample_rate_hz, frame_length
    )


def joined_accompaniment_frames(songs: Sequence[AccompanimentFrames]) -> AccompanimentFrames:
    """The frames of several songs, one song after another."""
    return AccompanimentFrames(
        np.concatenate([song.log_bands for song in songs]), np.concatenate([song.shares for song in songs])
    )


def _codes_of(
    frames: AccompanimentFrames, projection: Projection, codebook: Codebook, config: AccompanimentStreamConfig
) -> Int32[Array, " frame"]:
    features = accompaniment_features(frames, pitch_weight=config.pitch_weight)
    codes = codebook.assign(projection.project(features)) + 1
    return np.where(frames.silent, SILENCE, codes).astype(np.int32)
