"""The first stages of the corpus flow: recordings are decoded within limits, and get their stems."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from annotation.quality.stem_quality import StemGate, stem_quality
from annotation.separation.protocol import Separator
from annotation.spectrum.fingerprint import fingerprint
from levo.song.waveform import Waveform
from pipelines.corpus.audio import AudioReader, mono_at, open_reader
from pipelines.corpus.decode import AudioError, AudioLimits, check_audible
from pipelines.corpus.records import (
    CheckedSong,
    LabelSource,
    SourceSong,
    StemmedSong,
    StemReferences,
    extended,
)
from pipelines.corpus.roots.named import AnyRoot
from pipelines.flow.model_source import ModelSource
from pipelines.flow.objects import ObjectStore
from pipelines.flow.stage import NOT_IDENTITY, Refusal, Stage, Work, one_by_one


@dataclass(frozen=True, slots=True)
class AudioPlaces:
    """Where a worker finds recordings and objects; moving them does not change what is in them."""

    recordings: AnyRoot = field(metadata=NOT_IDENTITY)
    objects: Path = field(metadata=NOT_IDENTITY)
    limits: AudioLimits = field(default_factory=AudioLimits)

    def reader(self) -> AudioReader:
        """The worker's reader."""
        return open_reader(self.recordings, self.objects, self.limits)

    def store(self) -> ObjectStore:
        """The corpus's objects."""
        return ObjectStore(self.objects)


@dataclass(frozen=True, slots=True)
class CheckAudio(Stage[SourceSong, CheckedSong]):
    """Decodes every recording; what is unreadable, out of limits or silent is refused, the others are fingerprinted."""

    name: ClassVar[str] = "check"
    version: ClassVar[str] = "2"
    places: AudioPlaces

    def open(self) -> Work[SourceSong, CheckedSong]:
        """Decode one song after the other."""
        reader, store = self.places.reader(), self.places.store()
        return one_by_one(lambda song: self._checked(song, reader, store))

    def _checked(self, song: SourceSong, reader: AudioReader, store: ObjectStore) -> CheckedSong | Refusal:
        try:
            waveform = reader.read(song.audio)
            check_audible(waveform, self.places.limits)
        except AudioError as error:
            return self.refuse(song.song_id, error.reason, error.detail)
        return extended(
            song,
            CheckedSong,
            duration_s=waveform.duration_s,
            sample_rate_hz=waveform.sample_rate_hz,
            num_channels=len(waveform.samples),
            fingerprint=store.put_array(fingerprint(waveform)),
        )


@dataclass(frozen=True, slots=True)
class FindStems(Stage[CheckedSong, StemmedSong]):
    """True stems where the metadata name them, else a separator's, stored as objects.

    The separator hears one channel at `sample_rate_hz`, or the recording as it is where that is None. Stems that fail
    the gate are refused.
    """

    name: ClassVar[str] = "stems"
    version: ClassVar[str] = "2"
    places: AudioPlaces
    separator: ModelSource[Separator]
    sample_rate_hz: int | None
    gate: StemGate | None = None

    def open(self) -> Work[CheckedSong, StemmedSong]:
        """Load the separator when the first song needs it."""
        reader, store = self.places.reader(), self.places.store()
        separators: list[Separator] = []

        def find(batch: Sequence[CheckedSong]) -> list[StemmedSong | Refusal]:
            if not separators and any(song.true_stems is None for song in batch):
                separators.append(self.separator.open())
            return [
                self._separated(song, reader, store, separators[0])
                if song.true_stems is None
                else self._with_true_stems(song, song.true_stems, reader)
                for song in batch
            ]

        return find

    def _with_true_stems(self, song: CheckedSong, stems: StemReferences, reader: AudioReader) -> StemmedSong | Refusal:
        try:
            mixture = reader.read(song.audio)
            for name, reference in (("vocal", stems.vocal), ("accompaniment", stems.accompaniment)):
                _check_match(name, reader.read(reference), mixture)
        except AudioError as error:
            return self.refuse(song.song_id, f"stem: {error.reason}", error.detail)
        return extended(song, StemmedSong, stems=stems, stem_source=LabelSource.METADATA)

    def _separated(
        self, song: CheckedSong, reader: AudioReader, store: ObjectStore, separator: Separator
    ) -> StemmedSong | Refusal:
        mixture = reader.read(song.audio)
        if self.sample_rate_hz is not None:
            mixture = mono_at(mixture, self.sample_rate_hz)
        separated = separator.separate(mixture)
        quality = stem_quality(separated, mixture)
        refused = self.gate.refusal(quality) if self.gate else None
        if refused is not None:
            return self.refuse(song.song_id, "poor stems", refused)
        stems = StemReferences(reader.store(separated.vocal, store), reader.store(separated.accompaniment, store))
        return extended(song, StemmedSong, stems=stems, stem_source=LabelSource.FLOW, stem_quality=quality)


def _check_match(name: str, stem: Waveform, mixture: Waveform) -> None:
    if (stem.sample_rate_hz, stem.num_samples) != (mixture.sample_rate_hz, mixture.num_samples):
        raise AudioError(
            "does not match its mixture",
            f"{name} has {stem.num_samples} samples at {stem.sample_rate_hz} Hz; "
            f"the mixture has {mixture.num_samples} at {mixture.sample_rate_hz} Hz",
        )
