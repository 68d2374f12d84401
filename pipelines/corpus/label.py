"""The stages of the corpus flow that label: sections and lyrics, tags and tempo, musicality."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from annotation.structure.protocol import StructureLabeller
from annotation.tags.protocol import NO_TAGS, Tagger
from levo.song.timing import TimedSection
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.heard_lyrics import lyrics_of_words, trusted_words
from pipelines.corpus.records import (
    JudgedSong,
    LabelSource,
    StemmedSong,
    StructuredSong,
    TaggedSong,
    TranscribedSong,
    extended,
)
from pipelines.corpus.tokenize import batches_of_length
from pipelines.flow.model_source import ModelSource
from pipelines.flow.stage import Stage, Work, one_by_one
from reward.musicality.protocol import MusicalityReward


class Ask(StrEnum):
    """Which songs a labeller hears; those it must hear lack the label, or came without stems of their own."""

    NEVER = "never"
    WHERE_NEEDED = "where_needed"
    ALWAYS = "always"

    def includes(self, song: StemmedSong, *, is_given: bool) -> bool:
        """Whether a song is heard whose metadata do or do not give what would be heard."""
        is_needed = not is_given or song.stem_source is LabelSource.FLOW
        return self is Ask.ALWAYS or (self is Ask.WHERE_NEEDED and is_needed)


@dataclass(frozen=True, slots=True)
class FindStructure(Stage[TranscribedSong, StructuredSong]):
    """Sections of the songs it is asked for, and every song's lyrics: given, or heard and laid into the sections."""

    name: ClassVar[str] = "structure"
    version: ClassVar[str] = "2"
    places: AudioPlaces
    labeller: ModelSource[StructureLabeller]
    ask: Ask = Ask.WHERE_NEEDED

    def open(self) -> Work[TranscribedSong, StructuredSong]:
        """Load the labeller."""
        reader, labeller = self.places.reader(), self.labeller.open()

        def label(song: TranscribedSong) -> StructuredSong:
            sections = None
            if self.ask.includes(song, is_given=song.given_lyrics is not None):
                stems = reader.stems(song)
                sections = labeller.label(stems.mixture, stems.vocal)
            return _with_lyrics(song, sections)

        return one_by_one(label)


@dataclass(frozen=True, slots=True)
class FindTags(Stage[StructuredSong, TaggedSong]):
    """Tags, given or heard, and the tempo that was heard."""

    name: ClassVar[str] = "tags"
    version: ClassVar[str] = "1"
    places: AudioPlaces
    tagger: ModelSource[Tagger]
    ask: Ask = Ask.WHERE_NEEDED

    def open(self) -> Work[StructuredSong, TaggedSong]:
        """Load the tagger."""
        reader, tagger = self.places.reader(), self.tagger.open()

        def tag(song: StructuredSong) -> TaggedSong:
            given = song.given_tags
            is_asked = self.ask.includes(song, is_given=given is not None)
            heard = tagger.tag(reader.stems(song)) if is_asked else NO_TAGS
            return extended(
                song,
                TaggedSong,
                tags=heard.description_tags if given is None else given,
                tags_source=LabelSource.FLOW if given is None else LabelSource.METADATA,
                tempo_bpm=heard.tempo_bpm,
            )

        return one_by_one(tag)


@dataclass(frozen=True, slots=True)
class JudgeMusicality(Stage[TaggedSong, JudgedSong]):
    """How musical the mixture is; the tiers follow from all songs together."""

    name: ClassVar[str] = "musicality"
    version: ClassVar[str] = "1"
    places: AudioPlaces
    judge: ModelSource[MusicalityReward]

    def open(self) -> Work[TaggedSong, JudgedSong]:
        """Load the judge."""
        reader, judge = self.places.reader(), self.judge.open()

        def score(batch: Sequence[TaggedSong]) -> list[JudgedSong]:
            judged = []
            for songs in batches_of_length(batch):
                scores = judge.score([reader.read(song.audio) for song in songs])
                for song, musicality in zip(songs, scores, strict=True):
                    judged.append(extended(song, JudgedSong, musicality=musicality))
            return judged

        return score


def _with_lyrics(song: TranscribedSong, sections: tuple[TimedSection, ...] | None) -> StructuredSong:
    if song.given_lyrics is not None:
        lyrics, source = song.given_lyrics, LabelSource.METADATA
    else:
        lyrics = lyrics_of_words(trusted_words(song), sections or (), song.duration_s).text
        source = LabelSource.FLOW
    return extended(song, StructuredSong, sections=sections, lyrics=lyrics, lyrics_source=source)
