"""Judges of a song together: phoneme error, similarity to text and prompt, aesthetics, and an embedding for FAD."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from annotation.phonemes.languages import phonemes_of, words_of
from annotation.recogniser.protocol import Recogniser
from annotation.separation.protocol import Separator
from levo.song.arrays import Array
from levo.song.description import parse_description
from levo.song.digest import digest_json
from levo.song.lyrics import parse_lyrics
from levo.song.scores import Metric, Score, missing_score
from levo.song.waveform import Waveform
from pipelines.corpus.decode import AudioError, AudioLimits
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.corpus.roots.protocol import PathError
from pipelines.corpus.safe_decode import decode_file
from pipelines.evaluation.songs import SongToJudge
from reward.aesthetics.axes import AestheticsJudge
from reward.named import EmbeddingSimilarity
from reward.phoneme_error import phoneme_error_score

PHONEME_ERROR = Metric("phoneme_error_rate", "lower", "errors per phoneme", "held_out")
TO_TEXT = Metric("similarity_to_text", "higher", "cosine", "held_out")
TO_PROMPT = Metric("similarity_to_prompt", "higher", "cosine", "held_out")


@dataclass(frozen=True, slots=True)
class SongVerdict:
    """A song's scores by metric, and its vector (None where there is no embedder, or it cannot be heard)."""

    scores: Mapping[str, Score]
    vector: Float32[Array, " dimension"] | None = None


@dataclass(frozen=True)
class SongJudges:
    """Whatever of them is None is not asked.

    Without a vocal of its own a song's is separated, where there is a separator; else the mixture is heard for words.
    """

    similarity: EmbeddingSimilarity | None = None
    aesthetics: AestheticsJudge | None = None
    recogniser: Recogniser | None = None
    separator: Separator | None = None
    limits: AudioLimits = field(default_factory=AudioLimits)

    @cached_property
    def digest(self) -> str:
        """All judges together: equal ones judge alike."""
        judges = (self.similarity, self.aesthetics, self.recogniser, self.separator)
        return digest_json([None if judge is None else judge.digest for judge in judges])

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """What is told of a song, in the order of the papers' tables."""
        told = [TO_TEXT, TO_PROMPT] if self.similarity else []
        told += [PHONEME_ERROR] if self.recogniser else []
        told += list(self.aesthetics.metrics.values()) if self.aesthetics else []
        return {metric.name: metric for metric in told}

    def judge(self, song: SongToJudge) -> SongVerdict:
        """Judge one song; every metric has a score or the reason why there is none."""
        try:
            sound = self._read(song.audio)
        except (PathError, AudioError) as error:
            return SongVerdict(dict.fromkeys(self.metrics, missing_score(f"no song: {error}")))
        scores: dict[str, Score] = {}
        vector = None
        if self.similarity is not None:
            scores |= self._similarities(song, sound, self.similarity)
            vector = _vector(sound, self.similarity)
        if self.recogniser is not None:
            scores[PHONEME_ERROR.name] = self._phoneme_error(song, sound, self.recogniser)
        if self.aesthetics is not None:
            (axes,) = self.aesthetics.judge([sound])
            scores |= {self.aesthetics.metrics[axis].name: score for axis, score in axes.items()}
        return SongVerdict(scores, vector)

    def vector(self, file: Path) -> Float32[Array, " dimension"] | None:
        """A reference song's vector; None where it cannot be heard."""
        if self.similarity is None:
            raise ValueError("no similarity judge; expected one, whose embedding a reference is measured in")
        try:
            return _vector(self._read(file), self.similarity)
        except (PathError, AudioError):
            return None

    def _similarities(self, song: SongToJudge, sound: Waveform, judge: EmbeddingSimilarity) -> Mapping[str, Score]:
        to_text = to_prompt = missing_score("not asked for")
        if song.description is not None:
            (to_text,) = judge.similarity_to_text([sound], [parse_description(song.description)])
        if song.prompt is not None:
            try:
                (to_prompt,) = judge.similarity_to_audio([sound], [self._read(song.prompt)])
            except (PathError, AudioError) as error:
                to_prompt = missing_score(f"no prompt: {error}")
        return {TO_TEXT.name: to_text, TO_PROMPT.name: to_prompt}

    def _phoneme_error(self, song: SongToJudge, sound: Waveform, recogniser: Recogniser) -> Score:
        if song.lyrics is None:
            return missing_score("not asked for")
        try:
            vocal = self._vocal(song, sound)
        except (PathError, AudioError) as error:
            return missing_score(f"no vocal: {error}")
        (heard,) = recogniser.transcribe([vocal])
        language = song.language or heard.language or "en"
        try:
            asked = spelled(song.lyrics, language)
        except ValueError as error:
            return missing_score(str(error))
        words = [word for item in heard.words for word in words_of(item.word, language)]
        return phoneme_error_score(asked, [one for word in phonemes_of(words, language) for one in word])

    def _vocal(self, song: SongToJudge, sound: Waveform) -> Waveform:
        if song.vocal is not None:
            return self._read(song.vocal)
        return sound if self.separator is None else self.separator.separate(sound).vocal

    def _read(self, file: Path | None) -> Waveform:
        if file is None:
            raise PathError("missing", "there is none")
        whole = file.resolve()
        return decode_file(FolderRoot(whole.parent), whole.name, self.limits)


def spelled(lyrics: str, language: str) -> list[str]:
    """The phonemes of lyrics in the released format; raises `ValueError` for a language without any here."""
    lines = [line for section in parse_lyrics(lyrics).sections for line in section.lines]
    words = [word for line in lines for word in words_of(line, language)]
    return [phoneme for word in phonemes_of(words, language) for phoneme in word]


def _vector(sound: Waveform, embedder: EmbeddingSimilarity) -> Float32[Array, " dimension"] | None:
    try:
        return np.asarray(embedder.embed_song(sound).numpy(), dtype=np.float32)
    except ValueError:
        return None
