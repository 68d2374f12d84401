"""The program that decodes for a worker, file after file, in a process of its own with little it may do.

It reads requests from its standard input and writes parts to its standard output, each with its length before it; a
decoder that crashes, hangs or asks for memory without end takes this process down and nothing else. `safe_decode` is
the other side. Nothing heavy is imported here: it starts in a fraction of a second.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pipelines.corpus.decode import AudioError, AudioLimits, SoundHeader, decoded_parts

HEADER, BLOCK, REFUSED, DONE = b"H", b"B", b"E", b"D"
LENGTH_BYTES = 8
_MEMORY_BYTES = 256 << 20
_MAX_OPEN_FILES = 16


def main() -> None:
    """Serve until the input ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _renounce()
    own_bytes = _own_bytes()
    while num_bytes := message_length(requests):
        # Before the file is read: the file before it may have been a smaller one.
        _limit(resource.RLIMIT_DATA, own_bytes + _MEMORY_BYTES + 2 * num_bytes)
        _serve(requests.read(num_bytes), answers)
        answers.flush()


def request_message(content: bytes, limits: AudioLimits, timeout_s: float) -> bytes:
    """A request: what is allowed, then the file's bytes."""
    head = json.dumps(asdict(limits) | {"timeout_s": timeout_s}).encode()
    return framed(len(head).to_bytes(LENGTH_BYTES, "little") + head + content)


def framed(message: bytes) -> bytes:
    """A message with its length before it."""
    return len(message).to_bytes(LENGTH_BYTES, "little") + message


def message_length(stream: IO[bytes]) -> int:
    """The length of the message that comes next; 0 at the end of the stream."""
    head = stream.read(LENGTH_BYTES)
    return int.from_bytes(head, "little") if len(head) == LENGTH_BYTES else 0


def _serve(request: bytes, answers: IO[bytes]) -> None:
    start = LENGTH_BYTES + int.from_bytes(request[:LENGTH_BYTES], "little")
    allowed: dict[str, Any] = json.loads(request[LENGTH_BYTES:start])
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + allowed.pop("timeout_s")) + 1)
    _answer(request[start:], AudioLimits(**allowed), answers)


def _answer(content: bytes, limits: AudioLimits, answers: IO[bytes]) -> None:
    try:
        for part in decoded_parts(content, limits):
            if isinstance(part, SoundHeader):
                answers.write(framed(HEADER + json.dumps(asdict(part)).encode()))
            else:
                answers.write(framed(BLOCK + part.tobytes()))
    except AudioError as error:
        answers.write(framed(REFUSED + json.dumps([error.reason, error.detail]).encode()))
    except MemoryError:
        answers.write(framed(REFUSED + json.dumps(["decoder asks for too much memory", "a block"]).encode()))
    else:
        answers.write(framed(DONE))


def _renounce() -> None:
    """Write no file, leave no core, open next to nothing."""
    most = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _MAX_OPEN_FILES}
    for kind, value in most.items():
        resource.setrlimit(kind, (value, value))


def _limit(kind: int, value: int) -> None:
    """Set a limit that the next file may have otherwise."""
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def _own_bytes() -> int:
    """What the process holds before it decodes, as the kernel counts data."""
    try:
        with Path("/proc/self/status").open() as status:
            return 1024 * int(next(line for line in status if line.startswith("VmData:")).split()[1])
    except OSError:
        return _MEMORY_BYTES


if __name__ == "__main__":
    main()
