from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.codec.stems import Stems
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform, mono_waveform
from reward.musicality.degradation import DegradationConfig, ranked_songs, spoil_codes, spoil_sound

FRAME = 640


class LevelCodec:
    """A codec whose codes are a frame's peak level in 1/500 steps; it decodes to frames of that constant level."""

    digest = "levels"
    sample_rate_hz = 16_000
    frame_rate_hz = 25
    code_size = 512

    def encode(self, stems: Stems) -> TokenGrid:
        rows = [_levels(stem) for stem in (stems.mixture, stems.vocal, stems.accompaniment)]
        return TokenGrid(np.stack(rows))

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        return [self.encode(song) for song in songs]

    def decode(self, tokens: TokenGrid) -> Stems:
        vocal, accompaniment = (_held(tokens, stream) for stream in (Stream.VOCAL, Stream.ACCOMPANIMENT))
        mixture = mono_waveform(vocal.mono + accompaniment.mono, 16_000)
        return Stems(vocal, accompaniment, mixture)

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        return [self.decode(song) for song in songs]

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        return _held(tokens, Stream.MIXED)


def _levels(stem: Waveform) -> Any:
    whole = stem.num_samples // FRAME * FRAME
    peaks = np.abs(stem.mono[:whole]).reshape(-1, FRAME).max(axis=1)
    return np.minimum(511, np.round(peaks * 500)).astype(np.int32)


def _held(tokens: TokenGrid, stream: Stream) -> Waveform:
    return mono_waveform(np.repeat(tokens.codes[stream] / 500, FRAME).astype(np.float32), 16_000)


def test_each_version_spoils_all_that_the_one_before_did_and_more(songs: list[Any]) -> None:
    ranked = list(ranked_songs([(song.song_id, song.stems) for song in songs[:12]], LevelCodec(), seed=0))
    for song, made in zip(songs, ranked, strict=False):
        clean = LevelCodec().decode(LevelCodec().encode(song.stems)).mixture.mono
        np.testing.assert_array_equal(made.versions[0].mono, clean)
        changed = [set(np.flatnonzero(version.mono[::FRAME] != clean[::FRAME])) for version in made.versions]
        assert changed[0] == set()
        assert changed[1] <= changed[2] <= changed[3]
        assert len(changed[3]) > len(changed[1])
    shares = [
        np.mean([np.mean(made.versions[rank].mono != made.versions[0].mono) for made in ranked]) for rank in (1, 3)
    ]
    assert shares[0] < 0.3 < 0.8 > shares[1] > shares[0]


def test_the_same_seed_spoils_alike_and_another_seed_otherwise(songs: list[Any]) -> None:
    stems = [(song.song_id, song.stems) for song in songs[:3]]

    def sounds(seed: int) -> list[bytes]:
        return [made.versions[-1].samples.tobytes() for made in ranked_songs(stems, LevelCodec(), seed=seed)]

    assert sounds(0) == sounds(0)
    assert sounds(0) != sounds(1)


def test_shares_decide_the_number_of_versions(songs: list[Any]) -> None:
    config = DegradationConfig(spoilt_shares=(0.5,))
    (made,) = ranked_songs([("a", songs[0].stems)], LevelCodec(), seed=0, config=config)
    assert len(made.versions) == 2


class VoiceCodec(LevelCodec):
    """Decodes the voice alone."""

    def decode(self, tokens: TokenGrid) -> Stems:
        vocal = _held(tokens, Stream.VOCAL)
        return Stems(vocal, vocal, vocal)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_voice_is_spoilt_by_its_share(share: float, songs: list[Any]) -> None:
    stems = [(song.song_id, song.stems) for song in songs[:4]]
    for made in ranked_songs(stems, VoiceCodec(), seed=0, config=DegradationConfig(vocal_share=share)):
        assert np.array_equal(made.versions[0].mono, made.versions[-1].mono) == (share == 0.0)


@given(
    st.lists(st.integers(0, 511), min_size=1, max_size=20),
    st.lists(st.integers(0, 511), min_size=1),
    st.integers(0, 99),
)
def test_spoilt_codes_are_as_many_as_before_and_all_from_one_of_the_two_songs(
    codes: list[int], stranger: list[int], seed: int
) -> None:
    spoilt = spoil_codes(np.array(codes, np.int32), np.array(stranger, np.int32), np.random.default_rng(seed))
    assert len(spoilt) == len(codes)
    assert set(spoilt.tolist()) <= set(codes) or set(spoilt.tolist()) <= set(stranger)


@pytest.mark.parametrize("seed", range(12))
def test_spoilt_sound_is_as_long_as_before_finite_no_louder_and_changed(seed: int) -> None:
    sound = np.sin(np.arange(6_000) * 0.05 + 0.001 * np.arange(6_000)).astype(np.float32)
    spoilt = spoil_sound(sound, 16_000, np.random.default_rng(seed))
    assert spoilt.shape == sound.shape
    assert np.abs(spoilt).max() <= np.abs(sound).max() + 1e-6
    assert np.mean(spoilt != sound) > 0.5
