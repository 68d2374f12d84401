"""The embedded separator: what does not repeat and lies on the harmonics of one melody is the vocal."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Complex64, Float32

from annotation.separation.melody import MelodyConfig, comb, melody_hz
from annotation.separation.remainder import stems_beside
from annotation.separation.repetition import RepetitionConfig, repeating_magnitude
from annotation.spectrum.stft import StftConfig, inverse_stft, stft, stft_config
from annotation.spectrum.usable import require_usable
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.waveform import Waveform


@dataclass(frozen=True)
class EmbeddedSeparator:
    """REPET-SIM's background and a comb along the sung melody, as one soft mask; no model, no training.

    Above the melody's range of harmonics only the background counts, which lets consonants through.
    """

    window_s: float = 0.096
    hop_s: float = 0.016
    comb_width_hz: float = 20.0
    between_harmonics: float = 0.3
    """What the comb leaves of the sound midway between two harmonics."""
    piece_s: float = 30.0
    overlap_s: float = 2.0
    repetition: RepetitionConfig = field(default_factory=RepetitionConfig)
    melody: MelodyConfig = field(default_factory=MelodyConfig)

    @cached_property
    def digest(self) -> str:
        """The method and its parameters."""
        return digest_json({"separator": "embedded", "version": 2, "config": self})

    def separate(self, mixture: Waveform) -> Stems:
        """Stems of a mixture of any rate and number of channels; silence gives silent stems.

        The vocal is rounded to steps of 24-bit PCM, so that its sum with the accompaniment is exact: for a mixture of
        16 or 24 bits the returned mixture is the given one, bit for bit.
        """
        require_usable(mixture, "mixture", self.window_s)
        return stems_beside(self._vocal(mixture), mixture)

    def _vocal(self, mixture: Waveform) -> Float32[Array, "channel sample"]:
        """Pieces of bounded length, cross-faded, so that memory does not grow with the square of the song."""
        rate = mixture.sample_rate_hz
        piece, overlap = round(self.piece_s * rate), round(self.overlap_s * rate)
        vocal = np.zeros_like(mixture.samples)
        starts = range(0, max(mixture.num_samples - overlap, 1), piece - overlap)
        for start in starts:
            end = min(start + piece, mixture.num_samples)
            part = self._piece_vocal(mixture.samples[:, start:end], rate)
            if start > 0:
                fade_in = np.linspace(0, 1, overlap, dtype=np.float32)
                part[:, :overlap] *= fade_in
                vocal[:, start : start + overlap] *= 1 - fade_in
            vocal[:, start:end] += part
        return vocal

    def _piece_vocal(self, samples: Float32[Array, "channel sample"], rate: int) -> Float32[Array, "channel sample"]:
        config = stft_config(rate, self.window_s, self.hop_s)
        spectra = [stft(channel, config) for channel in samples]
        mask = self._vocal_mask(spectra, config, rate)
        return np.stack([inverse_stft(mask * spectrum, config, samples.shape[1]) for spectrum in spectra])

    def _vocal_mask(
        self, spectra: list[Complex64[Array, "frame bin"]], config: StftConfig, rate: int
    ) -> Float32[Array, "frame bin"]:
        """The vocal's share of each bin's magnitude, one mask for all channels."""
        magnitude = np.abs(spectra[0])
        for spectrum in spectra[1:]:
            magnitude += np.abs(spectrum)
        background = repeating_magnitude(magnitude, self.repetition)
        foreground = magnitude - background
        mask: Float32[Array, "frame bin"] = foreground / np.maximum(np.hypot(foreground, background), 1e-9)
        frequencies = config.frequencies_hz(rate)
        pitch = melody_hz(foreground, float(frequencies[1]), self.melody)
        teeth = comb(pitch, frequencies, self.comb_width_hz)
        combed = frequencies < self.melody.highest_harmonic_hz
        mask[:, combed] *= self.between_harmonics + (1 - self.between_harmonics) * teeth[:, combed]
        return mask
