"""The embedded codec: three quantised streams and their synthesis, fitted in a minute on rendered songs."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from levo.codec.accompaniment_stream import AccompanimentStreamConfig, accompaniment_stream_of
from levo.codec.config import EmbeddedCodecConfig
from levo.codec.fitting import FittedStreams, fit_streams
from levo.codec.intake import fitted_to, mono_at_rate, num_frames_of
from levo.codec.mixed_stream import MixedStreamConfig, mixed_stream_of
from levo.codec.semantic import SemanticConfig
from levo.codec.stems import Stems
from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.codec.vocal_stream import SILENCE, VocalStreamConfig, vocal_stream_of
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform, mono_waveform

_KIND = "embedded codec"


class EmbeddedCodec:
    """A `Codec` that needs no download; see `fit`."""

    def __init__(self, config: EmbeddedCodecConfig, streams: FittedStreams) -> None:
        self.config = config
        self._streams = streams
        self._stored = StoredModel(
            _KIND,
            {"codec": asdict(config), "phonemes": list(streams.mixed.encoder.phonemes)},
            {**streams.mixed.arrays(), **streams.vocal.arrays(), **streams.accompaniment.arrays()},
        )
        self.digest = self._stored.digest
        self.sample_rate_hz = config.sample_rate_hz
        self.frame_rate_hz = config.frame_rate_hz
        self.code_size = config.code_size

    def encode(self, stems: Stems) -> TokenGrid:
        """Tokens of a song; a begun frame counts as one, and a silent one is code 0 in its stream.

        Raises `ValueError` for empty or non-finite audio, and for stems of different lengths.
        """
        num_frames = num_frames_of(stems.mixture, self.frame_rate_hz)
        vocal = self._taken(stems.vocal, num_frames, "vocal")
        accompaniment = self._taken(stems.accompaniment, num_frames, "accompaniment")
        mixture = self._taken(stems.mixture, num_frames, "mixture")
        voice_codes = self._streams.vocal.encode(vocal)
        band_codes = self._streams.accompaniment.encode(accompaniment)
        mixed_codes = self._streams.mixed.encode(mixture, (voice_codes == 0) & (band_codes == 0))
        return TokenGrid(np.stack([mixed_codes, voice_codes, band_codes]), self.frame_rate_hz)

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        """`encode` of each song, one at a time: matrix kernels round by batch size, and codes must not."""
        return [self.encode(song) for song in songs]

    def decode(self, tokens: TokenGrid) -> Stems:
        """Vocal, accompaniment and their sum, `frame_length` samples a frame.

        Raises `ValueError` where there are no frames, or codes outside 0 ... code_size - 1.
        """
        self._check(tokens)
        voice, band = self._streams.vocal.table, self._streams.accompaniment.table
        vocal = voice.synthesise(_sounding(tokens.codes[Stream.VOCAL], voice.num_codes))
        accompaniment = band.synthesise(_sounding(tokens.codes[Stream.ACCOMPANIMENT], band.num_codes))
        parts = (vocal, accompaniment, vocal + accompaniment)
        return Stems(*(mono_waveform(part, self.sample_rate_hz) for part in parts))

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        """`decode` of each song."""
        return [self.decode(song) for song in songs]

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        """The song from its mixed stream alone: for each code the mean of what it was fitted on."""
        self._check(tokens)
        mixed = self._streams.mixed
        codes = _sounding(tokens.codes[Stream.MIXED], mixed.voice.num_codes)
        return mono_waveform(mixed.synthesise(codes), self.sample_rate_hz)

    def save(self, folder: Path) -> None:
        """Write the codec into a folder."""
        save_stored(self._stored, folder)

    @classmethod
    def load(cls, folder: Path) -> "EmbeddedCodec":
        """Read a saved codec; it has the digest, and gives the codes, of the one that was saved."""
        stored = load_stored(folder, _KIND)
        config = _config_of(stored.config["codec"])
        rate, length = config.sample_rate_hz, config.frame_length
        streams = FittedStreams(
            mixed_stream_of(config.mixed, tuple(stored.config["phonemes"]), stored.arrays, rate, length),
            vocal_stream_of(config.vocal, stored.arrays, rate, length),
            accompaniment_stream_of(config.accompaniment, stored.arrays, rate, length),
        )
        return cls(config, streams)

    @classmethod
    def fit(
        cls, songs: Sequence[LabelledSong], seed: int, config: EmbeddedCodecConfig | None = None
    ) -> "EmbeddedCodec":
        """Fit on labelled songs; the same songs and seed give the same codec. `ValueError` for no songs."""
        config = config or EmbeddedCodecConfig()
        return cls(config, fit_streams(songs, seed, config))

    def _taken(self, waveform: Waveform, num_frames: int, name: str) -> Float32[Array, " sample"]:
        samples = mono_at_rate(waveform, self.sample_rate_hz, name)
        if num_frames_of(waveform, self.frame_rate_hz) != num_frames:
            raise ValueError(f"{name} lasts {waveform.duration_s:.3f} s; expected {num_frames} frames, as the mixture")
        return fitted_to(samples, num_frames * self.config.frame_length)

    def _check(self, tokens: TokenGrid) -> None:
        if tokens.num_frames == 0 or tokens.frame_rate_hz != self.frame_rate_hz:
            raise ValueError(
                f"{tokens.num_frames} frames at {tokens.frame_rate_hz} frames/s; "
                f"expected at least one at {self.frame_rate_hz}"
            )
        low, high = int(tokens.codes.min()), int(tokens.codes.max())
        if low < 0 or high >= self.code_size:
            raise ValueError(f"codes lie in {low} ... {high}; expected 0 ... {self.code_size - 1}")


def _sounding(codes: Int32[Array, " frame"], num_codes: int) -> Int32[Array, " frame"]:
    """A code that its stream does not use is silent: a language model may still draw it."""
    return np.where(codes < num_codes, codes, SILENCE).astype(np.int32)


def _config_of(stored: dict[str, Any]) -> EmbeddedCodecConfig:
    mixed = dict(stored["mixed"])
    semantic = dict(mixed.pop("semantic"))
    semantic["dilations"] = tuple(semantic["dilations"])
    streams = {
        "vocal": VocalStreamConfig(**stored["vocal"]),
        "accompaniment": AccompanimentStreamConfig(**stored["accompaniment"]),
        "mixed": MixedStreamConfig(**mixed, semantic=SemanticConfig(**semantic)),
    }
    return EmbeddedCodecConfig(**{**stored, **streams})
