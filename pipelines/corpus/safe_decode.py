"""Decoding files of others: in a child process with limits and a time-out, which is replaced when it dies."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from levo.song.waveform import Waveform
from pipelines.corpus.decode import BLOCK_FRAMES, AudioError, AudioLimits, Block, SoundHeader, assembled
from pipelines.corpus.decode_child import BLOCK, DONE, HEADER, LENGTH_BYTES, REFUSED, request_message
from pipelines.corpus.roots.protocol import Root

DEFAULT_TIMEOUT_S = 120.0
_PROGRAM = (sys.executable, "-m", "pipelines.corpus.decode_child")
_SAMPLE_BYTES = 4
_READ_BYTES = 1 << 20
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class DecodingChild:
    """One child, started when the first file comes; a file on which it dies is refused, and the next has a new one."""

    def __init__(self, timeout_s: float = DEFAULT_TIMEOUT_S, program: Sequence[str] = _PROGRAM) -> None:
        if timeout_s <= 0:
            raise ValueError(f"timeout_s is {timeout_s}; expected more than 0")
        self._timeout_s = timeout_s
        self._program = tuple(program)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def process_id(self) -> int | None:
        """The child's, None where none is running."""
        return self._process.pid if self._process else None

    def decode(self, content: bytes, limits: AudioLimits) -> Waveform:
        """As `decode_audio` does; raises AudioError too where the decoder crashes or takes too long."""
        with self._lock:
            try:
                header, blocks = self._parts(content, limits)
            except AudioError:
                raise
            except _DeadChildError as death:
                self.close()
                raise AudioError(death.reason, death.detail) from None
            except BaseException:
                # Whoever comes next must not read what was meant for this one.
                self.close()
                raise
        return assembled(header, blocks, limits)

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _parts(self, content: bytes, limits: AudioLimits) -> tuple[SoundHeader, list[Block]]:
        answers = _Answers(self._started(), time.monotonic() + self._timeout_s)
        answers.send(request_message(content, limits, self._timeout_s))
        header, blocks, num_bytes = None, list[Block](), 0
        while True:
            kind, body = answers.message(limits.max_channels * BLOCK_FRAMES * _SAMPLE_BYTES + 1)
            if kind == REFUSED:
                reason, detail = json.loads(body)
                raise AudioError(str(reason), str(detail))
            if kind == DONE and header is not None and blocks:
                return header, blocks
            if kind == HEADER and header is None:
                header = SoundHeader(**json.loads(body))
            elif kind == BLOCK and header is not None:
                num_bytes += len(body)
                # What a child that was taken over might send: believed no more than the file.
                if num_bytes > limits.max_decoded_bytes:
                    raise _DeadChildError("decoder crashed", "it sends more than it may")
                if header.num_channels < 1 or len(body) % (_SAMPLE_BYTES * header.num_channels):
                    raise _DeadChildError("decoder crashed", f"it sends {len(body)} bytes as {header}")
                blocks.append(np.frombuffer(body, np.float32).reshape(-1, header.num_channels))
            else:
                raise _DeadChildError("decoder crashed", f"it sends {kind!r} out of turn")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).resolve().parents[2],
                env=os.environ | _ONE_THREAD,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
        return self._process


@cache
def decoding_child() -> DecodingChild:
    """The process's own child."""
    return DecodingChild()


def decode_file(root: Root, path: str, limits: AudioLimits) -> Waveform:
    """The sound of a file below a root; raises PathError or AudioError for what may not be read, or is no sound."""
    with root.open(path) as file:
        return decoding_child().decode(file.read(), limits)


class _DeadChildError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class _Answers:
    """Both pipes of a child, with a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._deadline = process, deadline
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self._pending = bytearray()

    def send(self, message: bytes) -> None:
        """The whole message; an early refusal is read afterwards."""
        view = memoryview(message)
        while view:
            self._wait([], [self._in])
            try:
                view = view[os.write(self._in, view[:_READ_BYTES]) :]
            except BrokenPipeError:
                raise self._death() from None

    def message(self, max_bytes: int) -> tuple[bytes, bytes]:
        """The next message's kind and body."""
        self._fill(LENGTH_BYTES)
        length = int.from_bytes(self._pending[:LENGTH_BYTES], "little")
        if not 1 <= length <= max(max_bytes, _READ_BYTES):
            raise _DeadChildError("decoder crashed", f"it sends a message of {length} bytes")
        self._fill(LENGTH_BYTES + length)
        found = bytes(self._pending[LENGTH_BYTES : LENGTH_BYTES + length])
        del self._pending[: LENGTH_BYTES + length]
        return found[:1], found[1:]

    def _fill(self, num_bytes: int) -> None:
        while len(self._pending) < num_bytes:
            self._wait([self._out], [])
            found = os.read(self._out, _READ_BYTES)
            if not found:
                raise self._death()
            self._pending += found

    def _wait(self, readers: list[int], writers: list[int]) -> None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or not any(select.select(readers, writers, [], left_s)):
            raise _DeadChildError("decoder took too long", "it was stopped before it had an answer")

    def _death(self) -> _DeadChildError:
        code = self._process.wait()
        return _DeadChildError("decoder crashed", f"its process ended with {code}")
