"""A decoder in a child process gives what one in this process gives; bombs, crashes and hangs cost one file each."""

import io
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levo.song.arrays import Array
from pipelines.corpus.decode import AudioError, AudioLimits, decode_audio
from pipelines.corpus.metadata import MetadataError, MetadataReader
from pipelines.corpus.safe_decode import DecodingChild
from tests.pipelines.corpus.test_corpus_decode import encoded, with_flac_length

RATE = 16000
MAX_CHILD_BYTES = 300 << 20


@pytest.fixture(scope="module")
def child() -> Iterator[DecodingChild]:
    child = DecodingChild(timeout_s=20)
    yield child
    child.close()


def noise(duration_s: float = 2.0, num_channels: int = 1, rate: int = RATE) -> Array:
    return np.random.default_rng(0).normal(0, 0.1, (int(duration_s * rate), num_channels))


def peak_bytes(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


@pytest.mark.parametrize("file_format", ["FLAC", "WAV", "AIFF", "MP3", "OGG"])
def test_the_child_gives_the_same_sound(child: DecodingChild, file_format: str) -> None:
    content = encoded(noise(7.3, 2, 44100), 44100, file_format)
    expected, found = decode_audio(content, AudioLimits()), child.decode(content, AudioLimits())
    assert found.sample_rate_hz == expected.sample_rate_hz
    assert np.array_equal(found.samples, expected.samples)


def test_the_child_gives_the_same_reasons_and_goes_on(child: DecodingChild) -> None:
    child.decode(encoded(noise()), AudioLimits())
    process_id = child.process_id
    for content in (b"", b"fLaC" + bytes(1000), encoded(noise(0.1)), encoded(noise())[:-3000]):
        with pytest.raises(AudioError) as here:
            decode_audio(content, AudioLimits())
        with pytest.raises(AudioError) as there:
            child.decode(content, AudioLimits())
        assert str(there.value) == str(here.value)
    assert child.process_id == process_id, "a refused file costs no process"


def test_a_large_file_after_a_small_one_has_the_memory_that_it_needs(child: DecodingChild) -> None:
    child.decode(encoded(noise()), AudioLimits())
    large = encoded(np.full((48000 * 500, 2), 0.25, np.float32), 48000, "WAV", "FLOAT")
    assert len(large) > 150 << 20
    assert child.decode(large, AudioLimits()).num_samples == 48000 * 500


def flac_rate(content: bytes, rate: int) -> bytes:
    place = content.index(b"fLaC") + 8 + 10
    last = (rate & 0xF) << 4 | (content[place + 2] & 0x0F)
    return content[:place] + bytes([rate >> 12, (rate >> 4) & 0xFF, last]) + content[place + 3 :]


def wav_field(offset: int, value: int, size: int) -> bytes:
    content = encoded(noise(), file_format="WAV")
    return content[:offset] + value.to_bytes(size, "little") + content[offset + size :]


def hours_of_silence(file_format: str) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8000, 1, format=file_format) as file:
        # Vorbis's encoder overflows its stack where it is given an hour at once.
        for _ in range(2 * 60):
            file.write(np.zeros(60 * 8000, np.int16))
    return buffer.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "a FLAC of 655,350 Hz": lambda: flac_rate(encoded(noise()), 655_350),
    "a FLAC of 1 Hz": lambda: flac_rate(encoded(noise()), 1),
    "a FLAC of 100 hours": lambda: with_flac_length(encoded(noise()), 100 * 3600 * RATE),
    "a FLAC of 2^36 samples": lambda: with_flac_length(encoded(noise()), 2**36 - 1),
    "two hours of silence in FLAC": lambda: hours_of_silence("FLAC"),
    "two hours that deny their length": lambda: with_flac_length(hours_of_silence("FLAC"), 0),
    "two hours in Ogg": lambda: hours_of_silence("OGG"),
    "a WAV of 2^32 bytes": lambda: wav_field(40, 0xFFFFFFFF, 4),
    "a WAV of 4 GHz": lambda: wav_field(24, 0xFFFFFFFF, 4),
    "a WAV of 65,535 channels": lambda: wav_field(22, 0xFFFF, 2),
    "a W64 of 2^62 bytes": lambda: encoded(noise(), file_format="W64")[:-40000].replace(b"data", b"data", 1),
    "an RF64 cut short": lambda: encoded(noise(), file_format="RF64")[:-40000],
    "eight channels": lambda: encoded(noise(num_channels=8)),
    "floats beyond measure": lambda: encoded(noise() * 1e30, file_format="WAV", subtype="FLOAT"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time_and_memory(child: DecodingChild, name: str) -> None:
    content = BOMBS[name]()
    child.close()
    started = time.monotonic()
    with pytest.raises(AudioError) as refusal:
        child.decode(content, AudioLimits())
    assert refusal.value.reason != "decoder took too long"
    assert time.monotonic() - started < 10
    if child.process_id is not None:
        assert peak_bytes(child.process_id) < MAX_CHILD_BYTES


def program(code: str) -> list[str]:
    start = (
        "import sys, os, time; from pipelines.corpus.decode_child import *\n"
        'HEAD = b\'{"sample_rate_hz": 16000, "num_channels": 2}\'\n'
        "def say(message): sys.stdout.buffer.write(message); sys.stdout.buffer.flush(); time.sleep(9)\n"
    )
    return [sys.executable, "-c", start + code]


READ = "sys.stdin.buffer.read(message_length(sys.stdin.buffer))\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (READ + "os.kill(os.getpid(), 11)", "decoder crashed"),
        ("os._exit(3)", "decoder crashed"),
        (READ + "time.sleep(60)", "decoder took too long"),
        ("time.sleep(60)", "decoder took too long"),
        (READ + "say((1 << 60).to_bytes(8, 'little'))", "decoder crashed"),
        (READ + "say(framed(DONE))", "decoder crashed"),
        (READ + "say(framed(BLOCK + bytes(8)))", "decoder crashed"),
        (READ + "say(framed(HEADER + HEAD) + framed(BLOCK + bytes(9)))", "decoder crashed"),
    ],
)
def test_a_decoder_that_dies_hangs_or_talks_nonsense_costs_one_file(code: str, reason: str) -> None:
    child = DecodingChild(timeout_s=1.5, program=program(code))
    content = encoded(noise(60))
    with pytest.raises(AudioError) as refusal:
        child.decode(content, AudioLimits())
    assert refusal.value.reason == reason
    assert child.process_id is None
    child._program = DecodingChild()._program
    assert child.decode(encoded(noise()), AudioLimits()).num_samples == 2 * RATE
    child.close()


def test_a_decoder_may_not_take_all_memory_nor_write_files() -> None:
    code = (
        "import json, pipelines.corpus.decode_child as d\n"
        "def hungry(content, limits):\n"
        "    held = bytearray(4 << 30)\n"
        "    yield len(held)\n"
        "d.decoded_parts = hungry\n"
        "d.main()"
    )
    child = DecodingChild(timeout_s=20, program=program(code))
    with pytest.raises(AudioError, match="decoder asks for too much memory"):
        child.decode(encoded(noise()), AudioLimits())
    child.close()
    code = (
        "import pipelines.corpus.decode_child as d\n"
        "def writing(content, limits):\n"
        "    open('/tmp/levo-decoder-wrote', 'w').write('x' * 100)\n"
        "    yield 0\n"
        "d.decoded_parts = writing\n"
        "d.main()"
    )
    child = DecodingChild(timeout_s=20, program=program(code))
    with pytest.raises(AudioError, match="decoder crashed"):
        child.decode(encoded(noise()), AudioLimits())
    written = Path("/tmp/levo-decoder-wrote")
    assert not written.exists() or written.stat().st_size == 0
    written.unlink(missing_ok=True)


def test_the_child_ends_with_its_worker() -> None:
    child = DecodingChild()
    child.decode(encoded(noise()), AudioLimits())
    process = child._process
    assert process is not None
    assert process.stdin is not None
    os.close(os.dup(process.stdin.fileno()))
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_a_time_out_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout_s is 0"):
        DecodingChild(timeout_s=0)


def mutated(content: bytes, generator: random.Random) -> bytes:
    """A file with bits flipped, bytes cut, copied or put in, as damage and malice do."""
    data = bytearray(content)
    for _ in range(generator.randint(1, 8)):
        place = generator.randrange(len(data)) if generator.random() < 0.5 else generator.randrange(min(len(data), 64))
        match generator.randrange(5):
            case 0:
                data[place] ^= 1 << generator.randrange(8)
            case 1:
                data[place : place + 4] = generator.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            case 2:
                del data[place : place + generator.randint(1, 400)]
            case 3:
                data[place:place] = generator.randbytes(generator.randint(1, 400))
            case _:
                data[place:place] = data[: generator.randint(1, 200)]
        if not data:
            data = bytearray(b"x")
    return bytes(data)


@pytest.mark.parametrize("num_files", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_fuzzed_files_are_refused_with_a_reason_or_are_sound(child: DecodingChild, num_files: int) -> None:
    generator = random.Random(num_files)
    formats = ["FLAC", "WAV", "AIFF", "MP3", "OGG", "W64", "RF64"]
    seeds = [encoded(noise(1.5, 1 + number % 2), file_format=name) for number, name in enumerate(formats)]
    limits, reasons = AudioLimits(max_duration_s=5.0), dict[str, int]()
    for number in range(num_files):
        try:
            found = child.decode(mutated(seeds[number % len(seeds)], generator), limits)
        except AudioError as error:
            outcome = error.reason if error.detail else "no detail"
        else:
            assert np.isfinite(found.samples).all()
            assert np.abs(found.samples).max() <= 1
            assert limits.min_duration_s <= found.duration_s <= limits.max_duration_s
            outcome = "sound"
        reasons[outcome] = reasons.get(outcome, 0) + 1
    assert "no detail" not in reasons
    assert sum(reasons.values()) == num_files
    assert reasons.get("decoder took too long", 0) == 0
    assert len(reasons) >= 4


@pytest.mark.parametrize("num_files", [200, 1000])
def test_fuzzed_manifests_give_a_song_or_a_reason_a_line(num_files: int) -> None:
    generator = random.Random(num_files)
    seed = b'{"song_id": "one", "audio": "a/one.flac", "lyrics": "[verse] red moon. ; [inst-short]", "tags": ["dark"]}'
    seed += b'\n{"song_id": "two", "audio": "two.flac", "stems": {"vocal": "v.flac", "accompaniment": "a.flac"}}\n'
    for _ in range(num_files):
        lines = io.BytesIO(mutated(seed, generator)).readlines()
        rows = list(MetadataReader().lines(lines, "fuzz"))
        assert len(rows) == sum(bool(line.strip()) for line in lines)
        assert all(row.detail for row in rows if isinstance(row, MetadataError))
