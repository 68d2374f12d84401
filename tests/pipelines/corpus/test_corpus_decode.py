"""Every kind of bad audio is refused with its reason, and every good kind is read right."""

import io
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from levo.song.arrays import Array
from pipelines.corpus.decode import AudioError, AudioLimits, check_audible, decode_audio

RATE = 16000


def tone(duration_s: float = 2.0, num_channels: int = 1, rate: int = RATE) -> Array:
    time_s = np.arange(int(duration_s * rate)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * 220 * (1 + channel) * time_s) for channel in range(num_channels)], 1)


def encoded(samples: Array, rate: int = RATE, file_format: str = "FLAC", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format, subtype=subtype)
    return buffer.getvalue()


def with_wav_size(content: bytes, num_bytes: int) -> bytes:
    place = content.index(b"data") + 4
    return content[:place] + num_bytes.to_bytes(4, "little") + content[place + 4 :]


def with_flac_length(content: bytes, num_samples: int) -> bytes:
    """The stream information's 36-bit number of samples, overwritten."""
    place = content.index(b"fLaC") + 8 + 13
    high = (content[place] & 0xF0) | (num_samples >> 32)
    return content[:place] + bytes([high]) + (num_samples & 0xFFFFFFFF).to_bytes(4, "big") + content[place + 5 :]


def cut_in_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_value(value: float) -> Array:
    samples = tone().astype(np.float32)
    samples[100] = value
    return samples


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "no bytes": (lambda: b"", "empty file"),
    "text": (lambda: b"not a sound\n" * 100, "unreadable"),
    "garbage after a magic word": (lambda: b"fLaC" + bytes(range(256)) * 10, "unreadable"),
    "no samples": (lambda: encoded(np.zeros((0, 1)), file_format="WAV"), "too short"),
    "short": (lambda: encoded(tone(0.5)), "too short"),
    "long": (lambda: encoded(tone(6.0)), "too long"),
    "not a number": (lambda: encoded(with_value(np.nan), file_format="WAV", subtype="FLOAT"), "not finite"),
    "infinite": (lambda: encoded(with_value(-np.inf), file_format="WAV", subtype="FLOAT"), "not finite"),
    "integers as floats": (lambda: encoded(tone() * 32768, file_format="WAV", subtype="FLOAT"), "out of range"),
    "low rate": (lambda: encoded(tone(rate=4000), 4000), "sample rate out of range"),
    "high rate": (lambda: encoded(tone(), 400_000, "WAV"), "sample rate out of range"),
    "six channels": (lambda: encoded(tone(num_channels=6)), "too many channels"),
    "an unusual container": (lambda: encoded(tone(), file_format="AU"), "unsupported format"),
    "a cut FLAC": (lambda: encoded(tone())[:-5000], "unreadable"),
    "a FLAC that claims more": (lambda: with_flac_length(encoded(tone()), 4 * RATE), "unreadable"),
    "a FLAC that claims days": (lambda: with_flac_length(encoded(tone()), 2**36 - 1), "too long"),
    "a cut WAV": (lambda: encoded(tone(), file_format="WAV")[: RATE * 3], "header lies about length"),
    "a WAV that claims more": (
        lambda: with_wav_size(encoded(tone(), file_format="WAV"), 2**31),
        "header lies about length",
    ),
    "a WAV that claims less": (
        lambda: with_wav_size(encoded(tone(), file_format="WAV"), 1000),
        "header lies about length",
    ),
    "a cut MP3": (lambda: cut_in_half(encoded(tone(4.0), file_format="MP3")), "header lies about length"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_audio_is_refused_with_its_reason(name: str) -> None:
    make, reason = BAD[name]
    with pytest.raises(AudioError) as refusal:
        decode_audio(make(), AudioLimits(max_duration_s=5.0))
    assert refusal.value.reason == reason
    assert refusal.value.detail


def test_silence_and_near_silence_are_not_audible() -> None:
    limits = AudioLimits()
    for samples in (np.zeros((RATE * 2, 2)), tone() * 1e-4):
        waveform = decode_audio(encoded(samples, file_format="WAV", subtype="FLOAT"), limits)
        with pytest.raises(AudioError, match="silent"):
            check_audible(waveform, limits)
    check_audible(decode_audio(encoded(tone()), limits), limits)


def test_a_small_file_that_unfolds_is_refused_by_its_decoded_size() -> None:
    content = encoded(np.zeros((RATE * 100, 2)))
    assert len(content) < 20_000
    with pytest.raises(AudioError, match="too large: 12800000 bytes decoded; expected at most 1000000"):
        decode_audio(content, AudioLimits(max_decoded_bytes=1_000_000))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("file_format", ["FLAC", "WAV", "AIFF"])
def test_lossless_formats_come_back_exactly(rate: int, num_channels: int, file_format: str) -> None:
    samples = np.round(tone(1.5, num_channels, rate) * 32767) / 32768
    waveform = decode_audio(encoded(samples, rate, file_format, "PCM_16"), AudioLimits())
    assert waveform.sample_rate_hz == rate
    assert np.array_equal(waveform.samples, samples.T.astype(np.float32))


@pytest.mark.parametrize("file_format", ["MP3", "OGG"])
def test_lossy_formats_come_back_nearly(file_format: str) -> None:
    samples = tone(3.0, 2, 44100)
    waveform = decode_audio(encoded(samples, 44100, file_format), AudioLimits())
    assert waveform.samples.shape == samples.T.shape
    middle = slice(RATE, 2 * RATE)
    assert np.abs(waveform.samples[:, middle] - samples.T[:, middle]).max() < 0.02


def test_what_passes_full_scale_a_little_is_clipped() -> None:
    waveform = decode_audio(encoded(tone() * 5, file_format="WAV", subtype="FLOAT"), AudioLimits())
    assert np.abs(waveform.samples).max() == 1.0


@given(st.data())
def test_damaged_files_never_raise_anything_else(data: st.DataObject) -> None:
    content = bytearray(encoded(tone(1.2), file_format=data.draw(st.sampled_from(["FLAC", "WAV", "OGG"]))))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    limits = AudioLimits(max_duration_s=5.0)
    with suppress(AudioError):
        waveform = decode_audio(bytes(content[:end]), limits)
        assert limits.min_duration_s <= waveform.duration_s <= limits.max_duration_s
        assert np.isfinite(waveform.samples).all()
        assert len(waveform.samples) <= limits.max_channels
