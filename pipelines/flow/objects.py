"""Bytes kept under their own SHA-256: stems as FLAC, tokens and other arrays as npy."""

import hashlib
import io
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from levo.song.arrays import Array
from levo.song.files import write_bytes_atomically, writing
from levo.song.waveform import Waveform

FLAC_SUFFIX = "flac"
ARRAY_SUFFIX = "npy"
_FLAC_SUBTYPE = "PCM_24"
_PCM_STEPS = 1 << 23
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The name of stored bytes: their SHA-256 (hex, as `sha256sum` prints it) and what they are."""

    sha256: str
    suffix: str
    num_bytes: int


class Readable(Protocol):
    """Bytes that come block by block."""

    def read(self, size: int, /) -> bytes:
        """At most so many of the next bytes; none at the end."""
        ...


class ObjectError(ValueError):
    """An object that is not there, or is not what its name says."""


class ObjectTooLargeError(ObjectError):
    """More bytes than may be stored as one object."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A folder of objects; equal bytes are stored once, and an object is there whole or not at all."""

    folder: Path

    def path(self, reference: ObjectReference) -> Path:
        """Where an object lies."""
        return self.folder / object_path(reference)

    def put(self, content: bytes, suffix: str) -> ObjectReference:
        """Store bytes."""
        reference = ObjectReference(hashlib.sha256(content).hexdigest(), suffix, len(content))
        path = self.path(reference)
        if not path.exists() or path.stat().st_size != len(content):
            # To flush thousands of small files costs more than to make them; `get` finds what a power cut spoilt.
            write_bytes_atomically(path, content, flush=False)
        return reference

    def flush(self, references: Iterable[ObjectReference]) -> None:
        """See to it that objects outlive a power cut, before something that does so names them."""
        paths = {self.path(reference) for reference in references}
        for path in (*sorted(paths), *sorted({path.parent for path in paths})):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def put_stream(self, stream: Readable, suffix: str, max_bytes: int) -> ObjectReference:
        """Store what a stream gives, block by block; raises ObjectTooLargeError, and stores nothing, for more."""
        draft = self.folder / f".{uuid.uuid4().hex}.partial"
        state, num_bytes = hashlib.sha256(), 0
        with writing(draft):
            draft.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("wb") as file:
                    while block := stream.read(_BLOCK_BYTES):
                        num_bytes += len(block)
                        if num_bytes > max_bytes:
                            raise ObjectTooLargeError(f"more than {max_bytes} bytes")
                        state.update(block)
                        file.write(block)
                reference = ObjectReference(state.hexdigest(), suffix, num_bytes)
                path = self.path(reference)
                path.parent.mkdir(exist_ok=True)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        return reference

    def get(self, reference: ObjectReference) -> bytes:
        """An object's bytes; raises ObjectError where they are missing or damaged."""
        path = self.path(reference)
        if not path.is_file():
            raise ObjectError(f"no object {path}; the corpus is incomplete")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != reference.sha256:
            raise ObjectError(f"object {path} is damaged: its content has the digest {found[:16]}")
        return content

    def put_array(self, array: Array) -> ObjectReference:
        """Store an array as npy."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return self.put(buffer.getvalue(), ARRAY_SUFFIX)

    def get_array(self, reference: ObjectReference) -> Array:
        """An array as it was stored."""
        array: Array = np.load(io.BytesIO(self.get(reference)), allow_pickle=False)
        return array

    def put_waveform(self, waveform: Waveform) -> ObjectReference:
        """Store sound as 24-bit FLAC; `as_stored` tells what comes back."""
        buffer = io.BytesIO()
        soundfile.write(buffer, waveform.samples.T, waveform.sample_rate_hz, format=FLAC_SUFFIX, subtype=_FLAC_SUBTYPE)
        return self.put(buffer.getvalue(), FLAC_SUFFIX)

    def get_waveform(self, reference: ObjectReference) -> Waveform:
        """Sound as it was stored."""
        samples, sample_rate_hz = soundfile.read(io.BytesIO(self.get(reference)), dtype="float32", always_2d=True)
        return Waveform(np.ascontiguousarray(samples.T), int(sample_rate_hz))


def object_path(reference: ObjectReference) -> str:
    """Where an object lies below a folder of objects."""
    return f"{reference.sha256[:2]}/{reference.sha256}.{reference.suffix}"


def as_stored(waveform: Waveform) -> Waveform:
    """What `get_waveform` gives back after `put_waveform`: steps of 24 bits, clipped to [-1, 1)."""
    steps = np.clip(np.round(waveform.samples * np.float32(_PCM_STEPS)), -_PCM_STEPS, _PCM_STEPS - 1)
    return Waveform(steps / np.float32(_PCM_STEPS), waveform.sample_rate_hz)
