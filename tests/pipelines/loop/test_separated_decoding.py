"""Songs decoded to one sound: from the streams that were asked for, with stems that a separator found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Int32

from annotation.separation.embedded import EmbeddedSeparator
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform, mono_waveform
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.records import LabelSource, TokenizedSong
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.flow.model_source import model_source
from pipelines.loop.records import CandidateRow
from pipelines.loop.separated_decoding import DecodeAndSeparate, DecodedFrom, separated

RATE = 16000
FRAME = RATE // 25


@dataclass(frozen=True)
class ToneCodec:
    """A frame of each stream sounds at the level of its code; the mixed stream at its own."""

    digest: str = "tones"
    sample_rate_hz: int = RATE
    frame_rate_hz: int = 25
    code_size: int = 100

    def encode(self, stems: Stems) -> TokenGrid:
        raise NotImplementedError

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        raise NotImplementedError

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        return [self.decode(song) for song in songs]

    def decode(self, tokens: TokenGrid) -> Stems:
        vocal, band = tokens.codes[Stream.VOCAL], tokens.codes[Stream.ACCOMPANIMENT]
        return Stems(_tone(vocal), _tone(band), _tone(vocal + band))

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        return _tone(tokens.codes[Stream.MIXED])


def _tone(levels: Int32[Array, " frame"]) -> Waveform:
    time_s = np.arange(len(levels) * FRAME) / RATE
    return mono_waveform((np.repeat(levels, FRAME) / 100 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32), RATE)


@dataclass(frozen=True)
class HalvingSeparator:
    """A quarter of whatever sounds is the voice."""

    digest: str = "quarter"

    def separate(self, mixture: Waveform) -> Stems:
        vocal = Waveform(np.float32(0.25) * mixture.samples, mixture.sample_rate_hz)
        return Stems(vocal, Waveform(mixture.samples - vocal.samples, mixture.sample_rate_hz), mixture)


def decoded(source: DecodedFrom, folder: Path) -> tuple[TokenizedSong, Stems]:
    places = AudioPlaces(FolderRoot(folder), folder / "objects", AudioLimits(min_duration_s=0.0))
    stage = DecodeAndSeparate(places, model_source(ToneCodec), model_source(HalvingSeparator), source)
    codes = np.repeat(np.array([[40], [20], [10]], np.int32), 25, axis=1)
    row = CandidateRow("song", "prompt", 0, "model", True, "[verse] moon.", ("female",), codes)
    (song,) = stage.open()([row])
    assert isinstance(song, TokenizedSong)
    return song, places.reader().stems(song)


@pytest.mark.parametrize(("source", "level"), [(DecodedFrom.MIXED, 0.4), (DecodedFrom.TRACKS, 0.3)])
def test_the_sound_is_of_the_asked_streams_and_its_voice_is_the_separator_s(
    source: DecodedFrom, level: float, tmp_path: Path
) -> None:
    song, stems = decoded(source, tmp_path)
    assert song.stem_source is LabelSource.FLOW
    assert (song.collection, song.given_lyrics, song.num_frames) == ("prompt", "[verse] moon.", 25)
    assert float(stems.mixture.samples.max()) == pytest.approx(level, abs=2e-3)
    assert float(stems.vocal.samples.max()) == pytest.approx(0.25 * level, abs=2e-3)


def test_a_song_of_one_frame_is_separated_as_well() -> None:
    mixture = _tone(np.array([40], np.int32))
    with pytest.raises(ValueError, match="expected at least"):
        EmbeddedSeparator().separate(mixture)
    stems = separated(mixture, EmbeddedSeparator())
    assert stems.vocal.num_samples == stems.accompaniment.num_samples == FRAME
    np.testing.assert_allclose(stems.vocal.samples + stems.accompaniment.samples, mixture.samples, atol=1e-6)
