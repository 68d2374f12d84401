"""Reading the audio of songs in a worker: checked against its digest, decoded within limits, kept a while."""

import hashlib
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from levo.codec.stems import Stems
from levo.song.waveform import Waveform, mono_waveform
from pipelines.corpus.decode import AudioError, AudioLimits, decode_audio
from pipelines.corpus.records import AudioPlace, AudioReference, LabelSource, StemmedSong
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.corpus.roots.named import AnyRoot
from pipelines.corpus.roots.protocol import PathError
from pipelines.corpus.safe_decode import decoding_child
from pipelines.flow.objects import FLAC_SUFFIX, ObjectStore, as_stored

_KEPT_BYTES = 1 << 28
_KEPT_FILES = 128
"""A batch of 32 songs with their stems, and a few more: what the next stage of the same worker asks for."""


class AudioReader:
    """Decodes audio references; the last few stay decoded, since the stages of one worker ask for the same songs."""

    def __init__(self, recordings: AnyRoot, objects: Path, limits: AudioLimits, kept_bytes: int = _KEPT_BYTES) -> None:
        self._roots: dict[AudioPlace, AnyRoot] = {
            AudioPlace.SOURCE: recordings,
            AudioPlace.OBJECTS: FolderRoot(objects),
        }
        self._limits = limits
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[str, Waveform] = OrderedDict()

    def read(self, audio: AudioReference) -> Waveform:
        """The sound of a reference; raises AudioError where it cannot be used or is not what was listed."""
        if audio.sha256 in self._kept:
            self._kept.move_to_end(audio.sha256)
            return self._kept[audio.sha256]
        content = self._bytes(audio)
        is_own = audio.place is AudioPlace.OBJECTS and audio.path.endswith(FLAC_SUFFIX)
        # What this project wrote itself needs no keeper.
        waveform = (decode_audio if is_own else decoding_child().decode)(content, self._limits)
        self._keep(audio, waveform)
        return waveform

    def store(self, waveform: Waveform, store: ObjectStore) -> AudioReference:
        """Put sound among the objects, and keep it so that this worker need not decode it again."""
        reference = store_audio(waveform, store)
        self._keep(reference, as_stored(waveform))
        return reference

    def stems(self, song: StemmedSong) -> Stems:
        """A song's stems; the mixture of separated ones is their sum, at the rate they were separated at."""
        vocal, accompaniment = self.read(song.stems.vocal), self.read(song.stems.accompaniment)
        if song.stem_source is LabelSource.METADATA:
            return Stems(vocal, accompaniment, self.read(song.audio))
        mixture = Waveform(vocal.samples + accompaniment.samples, vocal.sample_rate_hz)
        return Stems(vocal, accompaniment, mixture)

    def _keep(self, audio: AudioReference, waveform: Waveform) -> None:
        self._kept[audio.sha256] = waveform
        while len(self._kept) > 1 and (len(self._kept) > _KEPT_FILES or self._num_kept_bytes > self._kept_bytes):
            self._kept.popitem(last=False)

    @property
    def _num_kept_bytes(self) -> int:
        return sum(kept.samples.nbytes for kept in self._kept.values())

    def _bytes(self, audio: AudioReference) -> bytes:
        if audio.num_bytes > self._limits.max_file_bytes:
            raise AudioError("too large", f"{audio.num_bytes} bytes; expected at most {self._limits.max_file_bytes}")
        try:
            with self._roots[audio.place].open(audio.path) as file:
                content = file.read(audio.num_bytes + 1)
        except PathError as error:
            raise AudioError("missing", f"{audio.path} is no longer there ({error})") from None
        if hashlib.sha256(content).hexdigest() != audio.sha256:
            raise AudioError("changed", f"{audio.path} changed after it was listed; run again")
        return content


@cache
def open_reader(recordings: AnyRoot, objects: Path, limits: AudioLimits) -> AudioReader:
    """One reader a process, shared by the stages that run in it."""
    return AudioReader(recordings, objects, limits)


def mono_at(waveform: Waveform, sample_rate_hz: int) -> Waveform:
    """One channel at another rate."""
    mono = waveform.mono
    if waveform.sample_rate_hz != sample_rate_hz:
        mono = np.clip(soxr.resample(mono, waveform.sample_rate_hz, sample_rate_hz), -1, 1)
    return mono_waveform(mono, sample_rate_hz)


def store_audio(waveform: Waveform, store: ObjectStore) -> AudioReference:
    """Keep sound as an object, and refer to it."""
    reference = store.put_waveform(waveform)
    path = store.path(reference).relative_to(store.folder).as_posix()
    return AudioReference(AudioPlace.OBJECTS, path, reference.sha256, reference.num_bytes)
