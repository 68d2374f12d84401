"""The records of the corpus flow: what is known of a song grows from stage to stage."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from annotation.quality.stem_quality import StemQuality
from annotation.recogniser.consensus import HeardLine
from annotation.recogniser.forced_alignment import AlignedLine
from levo.song.description import MusicalityTier
from levo.song.scores import Score
from levo.song.timing import TimedPhoneme, TimedSection, TimedWord
from pipelines.flow.objects import ObjectReference, object_path


class LabelSource(StrEnum):
    """Who says so: the metadata that came with the recording, or the flow's own stages."""

    METADATA = "metadata"
    FLOW = "flow"


class AudioPlace(StrEnum):
    """Where a file lies: in the folder of recordings, or among the corpus's objects."""

    SOURCE = "source"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class AudioReference:
    """A sound file by its place, its path there, and its SHA-256."""

    place: AudioPlace
    path: str
    sha256: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class StemReferences:
    """The two stems of a song."""

    vocal: AudioReference
    accompaniment: AudioReference


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSong:
    """A recording as it was found, with what its metadata say; `lyrics` and `tags` are None where they say nothing.

    `licence`, `source` (where it comes from) and `consent` (whose, to what) are its rights, and go wherever it goes.
    """

    song_id: str
    audio: AudioReference
    true_stems: StemReferences | None = None
    collection: str | None = None
    singer: str | None = None
    licence: str | None = None
    source: str | None = None
    consent: str | None = None
    given_lyrics: str | None = None
    given_tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSong(SourceSong):
    """A recording that could be decoded and is within the limits, with its fingerprint (uint32 [words], npy)."""

    duration_s: float
    sample_rate_hz: int
    num_channels: int
    fingerprint: ObjectReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StemmedSong(CheckedSong):
    """A song with its stems: true ones from the metadata, or a separator's, whose quality was measured."""

    stems: StemReferences
    stem_source: LabelSource
    stem_quality: StemQuality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedSong(StemmedSong):
    """A song with its token grid (int32 [3, frames], npy)."""

    tokens: ObjectReference
    num_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribedSong(TokenizedSong):
    """A song with what a recogniser heard in its vocal; None where it was not asked.

    `heard_lines` tell how far two recognisers agree, where there are two; `aligned_lines` when the given lyrics are
    sung, where an aligner was asked and could lay them on the vocal.
    """

    heard_words: tuple[TimedWord, ...] | None
    heard_phonemes: tuple[TimedPhoneme, ...] | None
    transcript_confidence: float | None
    heard_language: str | None = None
    heard_lines: tuple[HeardLine, ...] | None = None
    aligned_lines: tuple[AlignedLine, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredSong(TranscribedSong):
    """A song with its sections (None where the labeller was not asked) and its lyrics in the released format."""

    sections: tuple[TimedSection, ...] | None
    lyrics: str
    lyrics_source: LabelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedSong(StructuredSong):
    """A song with its style tags, and its tempo as it was heard (None where it was not)."""

    tags: tuple[str, ...]
    tags_source: LabelSource
    tempo_bpm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSong(TaggedSong):
    """A song with its musicality."""

    musicality: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSong(JudgedSong):
    """A song of the corpus: with its musicality tier among all songs; None where its musicality is missing."""

    tier: MusicalityTier | None


Song = TypeVar("Song", bound=SourceSong)


def source_bytes(song: SourceSong) -> int:
    """The bytes of a song's recording and true stems."""
    stems = song.true_stems
    return song.audio.num_bytes + (stems.vocal.num_bytes + stems.accompaniment.num_bytes if stems else 0)


def object_digests(song: TokenizedSong, *, with_sound: bool = True) -> dict[str, str]:
    """The objects that a song consists of: SHA-256 by the path below the folder of objects."""
    references = [song.tokens, *([song.fingerprint] if song.fingerprint else [])]
    found = {object_path(reference): reference.sha256 for reference in references}
    files = (song.audio, song.stems.vocal, song.stems.accompaniment) if with_sound else ()
    return found | {file.path: file.sha256 for file in files if file.place is AudioPlace.OBJECTS}


def stored_bytes(song: object) -> int:
    """The bytes of the objects that the stages made of a song so far; nothing is kept of a refused one."""
    stored = 0
    if isinstance(song, CheckedSong) and song.fingerprint is not None:
        stored += song.fingerprint.num_bytes
    if isinstance(song, StemmedSong):
        stems = (song.stems.vocal, song.stems.accompaniment)
        stored += sum(stem.num_bytes for stem in stems if stem.place is AudioPlace.OBJECTS and not song.true_stems)
    if isinstance(song, TokenizedSong):
        stored += song.tokens.num_bytes
    return stored


def extended(song: SourceSong, record_type: type[Song], **added: Any) -> Song:
    """The next stage's record: all that is known of a song, and what the stage adds."""
    known = {field.name: getattr(song, field.name) for field in fields(song)}
    return record_type(**known, **added)
