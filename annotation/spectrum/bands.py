"""Energy in bands of the mel scale, frame by frame, in decibels."""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex64, Float32

from annotation.spectrum.stft import StftConfig
from levo.song.arrays import Array

FLOOR_DB = -80.0


def band_levels_db(
    spectrum: Complex64[Array, "frame bin"], config: StftConfig, sample_rate_hz: int, num_bands: int
) -> Float32[Array, "frame band"]:
    """Level of each mel band against the loudest band of the song, no lower than -80 dB."""
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = power @ mel_weights(config, sample_rate_hz, num_bands)
    peak = float(bands.max(initial=0.0))
    if peak == 0:
        return np.full(bands.shape, FLOOR_DB, dtype=np.float32)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(bands / peak, 1e-12)), FLOOR_DB), dtype=np.float32)


@lru_cache(maxsize=16)
def mel_weights(config: StftConfig, sample_rate_hz: int, num_bands: int) -> Float32[Array, "bin band"]:
    """Triangles of height one, evenly spaced on the mel scale from 0 Hz to half the sample rate.

    D. O'Shaughnessy: Speech Communication, 1987: mel = 2595 log10(1 + f / 700).
    """
    top_mel = 2595 * np.log10(1 + sample_rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top_mel, num_bands + 2) / 2595) - 1)
    frequencies = config.frequencies_hz(sample_rate_hz)[:, None]
    rising = (frequencies - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - frequencies) / (edges_hz[2:] - edges_hz[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
