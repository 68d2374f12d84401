"""The stages of the corpus flow that hear: stems to tokens, and the vocal to words and phonemes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from annotation.phonemes.languages import words_of
from annotation.recogniser.consensus import HeardLine, consensus
from annotation.recogniser.forced_alignment import AlignedLine, LyricsAligner
from annotation.recogniser.protocol import Recogniser, Transcript
from levo.codec.protocol import Codec
from levo.song.lyrics import parse_lyrics
from pipelines.corpus.audio import AudioReader
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.records import CheckedSong, StemmedSong, TokenizedSong, TranscribedSong, extended
from pipelines.flow.model_source import ModelSource
from pipelines.flow.stage import Stage, Work

MAX_BATCH_S = 240.0
Song = TypeVar("Song", bound=CheckedSong)


def batches_of_length(songs: Sequence[Song], max_s: float = MAX_BATCH_S) -> Iterator[list[Song]]:
    """Songs in order, in batches of bounded total length, so that memory does not grow with the songs."""
    batch: list[Song] = []
    for song in songs:
        if batch and sum(other.duration_s for other in batch) + song.duration_s > max_s:
            yield batch
            batch = []
        batch.append(song)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class TokenizeSongs(Stage[StemmedSong, TokenizedSong]):
    """Codes of the three streams, stored as objects."""

    name: ClassVar[str] = "tokens"
    version: ClassVar[str] = "1"
    places: AudioPlaces
    codec: ModelSource[Codec]

    def open(self) -> Work[StemmedSong, TokenizedSong]:
        """Load the codec."""
        reader, store, codec = self.places.reader(), self.places.store(), self.codec.open()

        def tokenize(batch: Sequence[StemmedSong]) -> list[TokenizedSong]:
            tokenized = []
            for songs in batches_of_length(batch):
                for song, grid in zip(songs, codec.encode_batch([reader.stems(song) for song in songs]), strict=True):
                    tokens = store.put_array(grid.codes)
                    tokenized.append(extended(song, TokenizedSong, tokens=tokens, num_frames=grid.num_frames))
            return tokenized

        return tokenize


@dataclass(frozen=True, slots=True)
class Transcribe(Stage[TokenizedSong, TranscribedSong]):
    """What is sung, heard in the vocal stem of songs whose metadata give no lyrics (or of every song).

    With a second recogniser each line is told how far the two agree; with an aligner, when lyrics that were given are
    sung. Lyrics that it cannot lay on the vocal stay without times.
    """

    name: ClassVar[str] = "transcript"
    version: ClassVar[str] = "3"
    places: AudioPlaces
    recogniser: ModelSource[Recogniser]
    every_song: bool = False
    second: ModelSource[Recogniser] | None = None
    aligner: ModelSource[LyricsAligner] | None = None
    language: str = "en"
    """Of the lyrics that are aligned."""

    def open(self) -> Work[TokenizedSong, TranscribedSong]:
        """Load the recognisers."""
        reader, recogniser = self.places.reader(), self.recogniser.open()
        second = None if self.second is None else self.second.open()
        aligner = None if self.aligner is None else self.aligner.open()

        def transcribe(batch: Sequence[TokenizedSong]) -> list[TranscribedSong]:
            asked = [song for song in batch if self.every_song or song.given_lyrics is None]
            heard: dict[str, tuple[Transcript, tuple[HeardLine, ...] | None]] = {}
            for songs in batches_of_length(asked):
                vocals = [reader.stems(song).vocal for song in songs]
                transcripts = recogniser.transcribe(vocals)
                others = [None] * len(songs) if second is None else second.transcribe(vocals)
                for song, one, other in zip(songs, transcripts, others, strict=True):
                    heard[song.song_id] = (one, None if other is None else consensus(one, other))
            transcribed = [_transcribed(song, *heard.get(song.song_id, (None, None))) for song in batch]
            return [replace(song, aligned_lines=self._aligned(song, aligner, reader)) for song in transcribed]

        return transcribe

    def _aligned(
        self, song: TokenizedSong, aligner: LyricsAligner | None, reader: AudioReader
    ) -> tuple[AlignedLine, ...] | None:
        if aligner is None or song.given_lyrics is None:
            return None
        sections = parse_lyrics(song.given_lyrics).sections
        lines = [words_of(line, self.language) for section in sections for line in section.lines]
        try:
            return aligner.align(reader.stems(song).vocal, lines)
        except ValueError:
            return None


def _transcribed(
    song: TokenizedSong,
    transcript: Transcript | None,
    lines: tuple[HeardLine, ...] | None,
) -> TranscribedSong:
    return extended(
        song,
        TranscribedSong,
        heard_words=transcript.words if transcript else None,
        heard_phonemes=transcript.phonemes if transcript else None,
        transcript_confidence=transcript.confidence if transcript else None,
        heard_language=transcript.language if transcript else None,
        heard_lines=lines,
    )
