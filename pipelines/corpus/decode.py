"""Sound files decoded within limits: what is unreadable, lies about itself or cannot be a song is an AudioError."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import soundfile
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.waveform import Waveform

Block: TypeAlias = Float32[Array, "sample channel"]
_BYTES_PER_SAMPLE = 4
BLOCK_FRAMES = 1 << 16
# An MP3's header counts whole frames of its codec.
_LENGTH_TOLERANCE_S = 0.1
# libsndfile's remarks on a header whose sizes do not fit the file.
_WRONG_SIZES = ("(should be", "> file length")


class AudioError(ValueError):
    """Sound that cannot be used: a countable reason, and what exactly was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What a recording may be; length and size are limited apart, as either can be large while the other is small."""

    min_duration_s: float = 1.0
    max_duration_s: float = 600.0
    max_file_bytes: int = 1 << 30
    max_decoded_bytes: int = 1 << 30
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_channels: int = 2
    silence_dbfs: float = -60.0
    max_peak: float = 4.0
    formats: tuple[str, ...] = ("AIFF", "FLAC", "MP3", "OGG", "WAV", "WAVEX", "W64", "RF64")


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """What a file says of its sound; its length is told by its blocks alone."""

    sample_rate_hz: int
    num_channels: int


def decode_audio(content: bytes, limits: AudioLimits) -> Waveform:
    """The sound of a file's bytes, clipped to [-1, 1]; raises AudioError where it is no recording within the limits."""
    parts = decoded_parts(content, limits)
    header = next(parts)
    assert isinstance(header, SoundHeader)
    return assembled(header, [part for part in parts if not isinstance(part, SoundHeader)], limits)


def decoded_parts(content: bytes, limits: AudioLimits) -> Iterator[SoundHeader | Block]:
    """A file's header, then its blocks, each checked as soon as it is there; raises AudioError at the first offence."""
    if not content:
        raise AudioError("empty file", "0 bytes")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check_header(file, limits)
            yield SoundHeader(int(file.samplerate), int(file.channels))
            yield from _blocks(file, limits)
    except soundfile.LibsndfileError as error:
        raise AudioError("unreadable", error.error_string) from None


def assembled(header: SoundHeader, blocks: Sequence[Block], limits: AudioLimits) -> Waveform:
    """Blocks as one waveform; raises AudioError for values that are no sound."""
    samples = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
    _check_values(samples, limits)
    return Waveform(np.clip(np.ascontiguousarray(samples.T), -1, 1), header.sample_rate_hz)


def check_audible(waveform: Waveform, limits: AudioLimits) -> None:
    """Raise AudioError for a silent recording; a stem may be silent, a song may not."""
    rms = float(np.sqrt(np.mean(np.square(waveform.samples, dtype=np.float64))))
    if rms < 10 ** (limits.silence_dbfs / 20):
        raise AudioError("silent", f"root mean square {rms:.2e}; expected at least {limits.silence_dbfs:g} dBFS")


def _check_header(file: soundfile.SoundFile, limits: AudioLimits) -> None:
    if file.format not in limits.formats:
        raise AudioError("unsupported format", f"{file.format}; expected one of {', '.join(limits.formats)}")
    if not limits.min_sample_rate_hz <= file.samplerate <= limits.max_sample_rate_hz:
        raise AudioError(
            "sample rate out of range",
            f"{file.samplerate} Hz; expected {limits.min_sample_rate_hz} to {limits.max_sample_rate_hz} Hz",
        )
    if file.channels > limits.max_channels:
        raise AudioError("too many channels", f"{file.channels}; expected at most {limits.max_channels}")
    remarks = [line.strip() for line in file.extra_info.splitlines() if any(sign in line for sign in _WRONG_SIZES)]
    if remarks:
        raise AudioError("header lies about length", remarks[-1])
    _check_length(file.frames, file, limits)


def _check_length(num_frames: int, file: soundfile.SoundFile, limits: AudioLimits) -> None:
    duration_s = num_frames / file.samplerate
    if duration_s > limits.max_duration_s:
        raise AudioError("too long", f"{duration_s:.1f} s; expected at most {limits.max_duration_s:g} s")
    num_bytes = num_frames * file.channels * _BYTES_PER_SAMPLE
    if num_bytes > limits.max_decoded_bytes:
        raise AudioError("too large", f"{num_bytes} bytes decoded; expected at most {limits.max_decoded_bytes}")


def _blocks(file: soundfile.SoundFile, limits: AudioLimits) -> Iterator[Block]:
    """Block by block, since what a header says does not bound what follows it."""
    num_frames = 0
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        num_frames += len(block)
        _check_length(num_frames, file, limits)
        yield block
    if abs(num_frames - file.frames) > _LENGTH_TOLERANCE_S * file.samplerate:
        raise AudioError("header lies about length", f"{file.frames} samples announced, {num_frames} found")
    if num_frames < limits.min_duration_s * file.samplerate:
        duration_s = num_frames / file.samplerate
        raise AudioError("too short", f"{duration_s:.3f} s; expected at least {limits.min_duration_s:g} s")


def _check_values(samples: Float32[Array, "sample channel"], limits: AudioLimits) -> None:
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        num_bad = samples.size - int(np.isfinite(samples).sum())
        raise AudioError("not finite", f"{num_bad} of {samples.size} samples are not finite numbers")
    if peak > limits.max_peak:
        raise AudioError("out of range", f"peak {peak:g}; full scale is 1, expected at most {limits.max_peak:g}")
