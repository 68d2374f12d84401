"""The embedded codec: length, identity, silence, refusals, and that what it decodes sounds like what it was given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from levo.codec.config import EmbeddedCodecConfig
from levo.codec.embedded import EmbeddedCodec
from levo.codec.protocol import Codec
from levo.codec.stems import Stems, stems_of
from levo.codec.voice_analysis import analyse_voice
from levo.song.arrays import Array
from levo.song.labelled import LabelledSong
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform, mono_waveform


def _stems(vocal: Array, accompaniment: Array, sample_rate_hz: int = 16000) -> Stems:
    parts = (vocal, accompaniment, vocal + accompaniment)
    return Stems(*(mono_waveform(part.astype(np.float32), sample_rate_hz) for part in parts))


def _noise(num_samples: int, sample_rate_hz: int = 16000) -> Stems:
    rng = np.random.default_rng(num_samples)
    return _stems(0.1 * rng.standard_normal(num_samples), 0.1 * rng.standard_normal(num_samples), sample_rate_hz)


def test_it_is_a_codec(small_codec: EmbeddedCodec) -> None:
    codec: Codec = small_codec
    assert (codec.sample_rate_hz, codec.frame_rate_hz, codec.code_size) == (16000, 25, 128)


@settings(max_examples=25)
@given(num_samples=st.integers(1, 9000), sample_rate_hz=st.sampled_from([11025, 16000, 44100]))
def test_a_begun_frame_is_a_frame_and_comes_back_whole(
    small_codec: EmbeddedCodec, num_samples: int, sample_rate_hz: int
) -> None:
    tokens = small_codec.encode(_noise(num_samples, sample_rate_hz))
    assert tokens.num_frames == -(-num_samples * 25 // sample_rate_hz)
    decoded = small_codec.decode(tokens)
    for waveform in (decoded.vocal, decoded.accompaniment, decoded.mixture, small_codec.decode_mixed(tokens)):
        assert waveform.samples.shape == (1, tokens.num_frames * 640)
        assert waveform.sample_rate_hz == 16000
        assert np.isfinite(waveform.samples).all()


def test_codes_do_not_depend_on_the_batch(small_codec: EmbeddedCodec, codec_songs: list[LabelledSong]) -> None:
    songs = [stems_of(song) for song in codec_songs[8:]]
    together = small_codec.encode_batch(songs)
    backwards = small_codec.encode_batch(songs[::-1])[::-1]
    for song, first, second in zip(songs, together, backwards, strict=True):
        np.testing.assert_array_equal(first.codes, small_codec.encode(song).codes)
        np.testing.assert_array_equal(first.codes, second.codes)
    for tokens, decoded in zip(together, small_codec.decode_batch(together), strict=True):
        np.testing.assert_array_equal(decoded.mixture.samples, small_codec.decode(tokens).mixture.samples)


def test_a_saved_codec_is_the_same_codec(
    small_codec: EmbeddedCodec, codec_songs: list[LabelledSong], tmp_path: Path
) -> None:
    small_codec.save(tmp_path / "codec")
    loaded = EmbeddedCodec.load(tmp_path / "codec")
    assert loaded.digest == small_codec.digest
    assert loaded.config == small_codec.config
    song = stems_of(codec_songs[11])
    tokens = loaded.encode(song)
    np.testing.assert_array_equal(tokens.codes, small_codec.encode(song).codes)
    np.testing.assert_array_equal(loaded.decode(tokens).mixture.samples, small_codec.decode(tokens).mixture.samples)
    np.testing.assert_array_equal(loaded.decode_mixed(tokens).samples, small_codec.decode_mixed(tokens).samples)


def test_fitting_is_repeatable_and_its_seed_counts(
    codec_songs: list[LabelledSong], small_config: EmbeddedCodecConfig
) -> None:
    semantic = replace(small_config.mixed.semantic, num_steps=3, width=16)
    config = replace(small_config, mixed=replace(small_config.mixed, semantic=semantic))
    first, again, other = (EmbeddedCodec.fit(codec_songs[:2], seed, config) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest


def test_silence_is_code_zero_and_comes_back_exactly_silent(small_codec: EmbeddedCodec) -> None:
    silence = np.zeros(16000)
    tokens = small_codec.encode(_stems(silence, silence))
    assert not tokens.codes.any()
    decoded = small_codec.decode(tokens)
    assert not decoded.mixture.samples.any()
    assert not small_codec.decode_mixed(tokens).samples.any()


def test_a_silent_stem_is_silent_beside_one_that_sounds(
    small_codec: EmbeddedCodec, codec_songs: list[LabelledSong]
) -> None:
    band = codec_songs[10].accompaniment.mono
    tokens = small_codec.encode(_stems(np.zeros(band.size), band))
    assert not tokens.codes[Stream.VOCAL].any()
    assert tokens.codes[Stream.ACCOMPANIMENT].any()
    assert not small_codec.decode(tokens).vocal.samples.any()


def test_the_mixture_is_the_sum_of_its_stems(small_codec: EmbeddedCodec, codec_songs: list[LabelledSong]) -> None:
    decoded = small_codec.decode(small_codec.encode(stems_of(codec_songs[10])))
    np.testing.assert_array_equal(decoded.mixture.samples, decoded.vocal.samples + decoded.accompaniment.samples)


def test_a_new_song_keeps_its_loudness_and_where_it_is_sung(
    small_codec: EmbeddedCodec, codec_songs: list[LabelledSong]
) -> None:
    song = codec_songs[11]
    decoded = small_codec.decode(small_codec.encode(stems_of(song)))
    for before, after in ((song.vocal, decoded.vocal), (song.accompaniment, decoded.accompaniment)):
        assert 0.7 < np.square(after.mono).mean() / np.square(before.mono).mean() < 1.3
    sung_before, sung_after = (analyse_voice(item.mono, 16000, 640).f0_hz > 0 for item in (song.vocal, decoded.vocal))
    assert (sung_before == sung_after).mean() > 0.85


def test_a_stereo_song_at_another_rate_has_nearly_the_same_codes(
    small_codec: EmbeddedCodec, codec_songs: list[LabelledSong]
) -> None:
    song = stems_of(codec_songs[10])

    def converted(waveform: Waveform) -> Waveform:
        resampled = soxr.resample(waveform.mono, 16000, 48000).astype(np.float32)
        return Waveform(np.stack([resampled, resampled]), 48000)

    other = Stems(converted(song.vocal), converted(song.accompaniment), converted(song.mixture))
    same = small_codec.encode(song).codes == small_codec.encode(other).codes
    assert same.mean() > 0.8


def test_codes_beyond_a_streams_own_are_silent_and_beyond_all_are_refused(small_codec: EmbeddedCodec) -> None:
    unused = TokenGrid(np.full((3, 5), 127, np.int32))
    assert not small_codec.decode(unused).mixture.samples.any()
    for code in (-1, 128):
        with pytest.raises(ValueError, match=f"codes lie in {code} ... {code}; expected 0 ... 127"):
            small_codec.decode(TokenGrid(np.full((3, 5), code, np.int32)))


def test_tokens_of_no_frames_or_another_rate_are_refused(small_codec: EmbeddedCodec) -> None:
    with pytest.raises(ValueError, match="0 frames at 25 frames/s"):
        small_codec.decode(TokenGrid(np.zeros((3, 0), np.int32)))
    with pytest.raises(ValueError, match="5 frames at 50 frames/s; expected at least one at 25"):
        small_codec.decode_mixed(TokenGrid(np.zeros((3, 5), np.int32), 50))


@pytest.mark.parametrize("stem", ["vocal", "accompaniment", "mixture"])
def test_a_stem_that_is_empty_broken_or_shorter_is_named(small_codec: EmbeddedCodec, stem: str) -> None:
    song = _noise(6400)
    broken = np.zeros((1, 6400), np.float32)
    broken[0, 5] = np.nan
    with pytest.raises(ValueError, match=f"{stem}: 1 of 6400 samples are not finite"):
        small_codec.encode(replace(song, **{stem: Waveform(broken, 16000)}))
    empty = Waveform(np.zeros((1, 0), np.float32), 16000)
    with pytest.raises(ValueError, match=f"(vocal|{stem}) (has shape|lasts)"):
        small_codec.encode(replace(song, **{stem: empty}))
    shorter = Waveform(np.zeros((1, 640), np.float32), 16000)
    with pytest.raises(ValueError, match=r"expected (10|1) frames, as the mixture"):
        small_codec.encode(replace(song, **{stem: shorter}))


def test_codebooks_larger_than_the_code_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"streams have \(512, 512, 512\) codes; expected 2 ... 256"):
        EmbeddedCodecConfig(code_size=256)


def test_a_codec_of_no_songs_is_refused() -> None:
    with pytest.raises(ValueError, match="no songs to fit a codec on"):
        EmbeddedCodec.fit([], seed=0)
