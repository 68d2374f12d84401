"""Scoring: a candidate is decoded to sound, labelled by the corpus's own stages, and judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.protocol import Recogniser
from annotation.structure.protocol import StructureLabeller
from annotation.tags.protocol import Tagger
from levo.codec.protocol import Codec
from levo.codec.stems import Stems
from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.song.lyrics import parse_lyrics
from levo.song.scores import Score, missing_score
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.corpus.audio import AudioReader
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.label import Ask, FindStructure, FindTags, JudgeMusicality
from pipelines.corpus.records import (
    JudgedSong,
    LabelSource,
    StemReferences,
    TokenizedSong,
)
from pipelines.corpus.tokenize import Transcribe
from pipelines.flow.model_source import ModelSource
from pipelines.flow.objects import ObjectStore
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Stage, Work
from pipelines.loop.metrics import (
    MUSICAL_DEFECTS,
    MUSICALITY,
    PHONEME_ERROR_RATE,
    POCKETSPHINX_ERROR_RATE,
    SIMILARITY_TO_PROMPT,
    SIMILARITY_TO_TEXT,
    TAG_AGREEMENT,
)
from pipelines.loop.prompts import PromptSounds, PromptSource
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.sampling import song_model, song_number
from reward.judges.defects import DefectsJudge
from reward.judges.tag_agreement import TagAgreementJudge
from reward.musicality.protocol import MusicalityReward
from reward.phoneme_error import phoneme_error_score
from reward.similarity.protocol import TextMusicSimilarity

LONGEST_SECOND_OPINION_S = 15.0


@dataclass(frozen=True)
class ScoringModels:
    """What hears and judges candidates: the corpus's own models, and the judges of songs."""

    codec: ModelSource[Codec]
    recogniser: ModelSource[Recogniser]
    labeller: ModelSource[StructureLabeller]
    tagger: ModelSource[Tagger]
    musicality: ModelSource[MusicalityReward]
    similarity: ModelSource[TextMusicSimilarity]


@dataclass(frozen=True)
class HeldOutJudges:
    """Judges that never make a pair; they hear what is reported, not what pairs are made of.

    The recogniser, the slowest, hears `songs_heard` songs a prompt of the models whose short digests are in
    `heard_more`, and of all others the first song of every other prompt.
    """

    recogniser: ModelSource[Recogniser]
    tags: ModelSource[TagAgreementJudge]
    defects: ModelSource[DefectsJudge]
    heard_more: frozenset[str] = frozenset()
    songs_heard: int = 2


def scoring_pipeline(
    places: AudioPlaces,
    prompts: PromptSource,
    models: ScoringModels,
    lexicon: Lexicon,
    held_out: HeldOutJudges | None,
    decode: Stage[CandidateRow, TokenizedSong] | None = None,
) -> Pipeline[CandidateRow, ScoredRow]:
    """The stages in order; those between decoding and judging are the corpus flow's.

    `decode` makes sound of candidates in another way than the codec's own.
    """
    return Pipeline[CandidateRow, ScoredRow](
        (
            decode or DecodeCandidate(places, models.codec),
            Transcribe(places, models.recogniser, every_song=True),
            FindStructure(places, models.labeller, Ask.NEVER),
            FindTags(places, models.tagger, Ask.ALWAYS),
            JudgeMusicality(places, models.musicality),
            JudgeCandidate(places, prompts, models.codec, models.similarity, lexicon, held_out),
        )
    )


@dataclass(frozen=True, slots=True)
class DecodeCandidate(Stage[CandidateRow, TokenizedSong]):
    """A candidate's tokens as sound: from here on a song like any of the corpus, with its prompt as collection."""

    name: ClassVar[str] = "decode"
    version: ClassVar[str] = "1"
    places: AudioPlaces
    codec: ModelSource[Codec]

    def open(self) -> Work[CandidateRow, TokenizedSong]:
        """Load the codec."""
        reader, store, codec = self.places.reader(), self.places.store(), self.codec.open()

        def decode(batch: Sequence[CandidateRow]) -> list[TokenizedSong]:
            decoded = codec.decode_batch([TokenGrid(row.codes) for row in batch])
            return [
                decoded_song(row, stems, LabelSource.METADATA, reader, store)
                for row, stems in zip(batch, decoded, strict=True)
            ]

        return decode


def decoded_song(
    row: CandidateRow, stems: Stems, stem_source: LabelSource, reader: AudioReader, store: ObjectStore
) -> TokenizedSong:
    """A candidate as a song of the flow: its sound stored, its prompt as collection."""
    return TokenizedSong(
        song_id=row.candidate_id,
        audio=reader.store(stems.mixture, store),
        collection=row.prompt_id,
        given_lyrics=row.lyrics,
        given_tags=row.tags,
        duration_s=stems.mixture.duration_s,
        sample_rate_hz=stems.mixture.sample_rate_hz,
        num_channels=1,
        stems=StemReferences(reader.store(stems.vocal, store), reader.store(stems.accompaniment, store)),
        stem_source=stem_source,
        tokens=store.put_array(row.codes),
        num_frames=row.codes.shape[1],
    )


@dataclass(frozen=True)
class JudgeCandidate(Stage[JudgedSong, ScoredRow]):
    """Every judge's score of a candidate, from what was heard in it and what it was asked for."""

    name: ClassVar[str] = "judge"
    version: ClassVar[str] = "2"
    places: AudioPlaces
    prompts: PromptSource
    codec: ModelSource[Codec]
    similarity: ModelSource[TextMusicSimilarity]
    lexicon: Lexicon
    held_out: HeldOutJudges | None

    def open(self) -> Work[JudgedSong, ScoredRow]:
        """Load the judges."""
        reader, similarity = self.places.reader(), self.similarity.open()
        prompt_sounds = PromptSounds(self.prompts, self.codec.open())
        panel = _HeldOutPanel(self.held_out, self.lexicon) if self.held_out else None

        def judge(batch: Sequence[JudgedSong]) -> list[ScoredRow]:
            sounds = [reader.read(song.audio) for song in batch]
            descriptions = [Description(song.given_tags or ()) for song in batch]
            to_text = similarity.similarity_to_text(sounds, descriptions)
            to_prompt = _similarity_to_prompts(
                similarity, sounds, [prompt_sounds.of(_prompt_id(song)) for song in batch]
            )
            rows = []
            for song, text, prompt in zip(batch, to_text, to_prompt, strict=True):
                scores = {
                    PHONEME_ERROR_RATE.name: self._phoneme_error(song),
                    SIMILARITY_TO_TEXT.name: text,
                    SIMILARITY_TO_PROMPT.name: prompt,
                    MUSICALITY.name: song.musicality,
                }
                if panel:
                    scores |= panel.scores(song, reader.stems(song))
                rows.append(_scored(song, scores))
            return rows

        return judge

    def _phoneme_error(self, song: JudgedSong) -> Score:
        if song.heard_phonemes is None:
            return missing_score("not transcribed")
        heard = [item.phoneme for item in song.heard_phonemes]
        return phoneme_error_score(asked_phonemes(song, self.lexicon), heard)


def _similarity_to_prompts(
    similarity: TextMusicSimilarity, songs: Sequence[Waveform], prompts: Sequence[Waveform | None]
) -> list[Score]:
    heard = [(song, prompt) for song, prompt in zip(songs, prompts, strict=True) if prompt is not None]
    scores = iter(similarity.similarity_to_audio([song for song, _ in heard], [prompt for _, prompt in heard]))
    return [missing_score("no audio prompt") if prompt is None else next(scores) for prompt in prompts]


def asked_phonemes(song: JudgedSong, lexicon: Lexicon) -> list[str]:
    """The phonemes of the lyrics that a candidate was asked to sing."""
    return list(lexicon.phonemes_of(parse_lyrics(song.given_lyrics or "").words))


class _HeldOutPanel:
    def __init__(self, judges: HeldOutJudges, lexicon: Lexicon) -> None:
        self._recogniser = judges.recogniser.open()
        self._tags = judges.tags.open()
        self._defects = judges.defects.open()
        self._heard_more, self._songs_heard = judges.heard_more, judges.songs_heard
        self._lexicon = lexicon

    def scores(self, song: JudgedSong, stems: Stems) -> dict[str, Score]:
        description = Description(song.given_tags or ())
        return {
            POCKETSPHINX_ERROR_RATE.name: self._phoneme_error(song, stems),
            TAG_AGREEMENT.name: self._tags.judge([stems], [description])[0].score,
            MUSICAL_DEFECTS.name: self._defects.judge([stems])[0].score,
        }

    def _phoneme_error(self, song: JudgedSong, stems: Stems) -> Score:
        if song.duration_s > LONGEST_SECOND_OPINION_S:
            return missing_score(f"the second opinion hears songs up to {LONGEST_SECOND_OPINION_S:g} s")
        number = song_number(song.song_id)
        if song_model(song.song_id) in self._heard_more:
            if number >= self._songs_heard:
                return missing_score(f"the second opinion hears {self._songs_heard} songs of a prompt")
        elif number or not _is_in_half(_prompt_id(song)):
            return missing_score("the second opinion hears one song of every other prompt from this model")
        heard = self._recogniser.transcribe([stems.vocal])[0].phoneme_names
        return phoneme_error_score(asked_phonemes(song, self._lexicon), heard)


def _scored(song: JudgedSong, scores: dict[str, Score]) -> ScoredRow:
    return ScoredRow(
        candidate_id=song.song_id,
        prompt_id=_prompt_id(song),
        audio=song.audio,
        duration_s=song.duration_s,
        heard_phonemes=tuple(item.phoneme for item in song.heard_phonemes or ()),
        heard_words=tuple(item.word for item in song.heard_words or ()),
        heard_tags=song.tags,
        scores=scores,
    )


def _is_in_half(prompt_id: str) -> bool:
    """Whether a prompt is in the half that all models are heard on; the same half in every run."""
    return int(digest_bytes(prompt_id.encode()), 16) % 2 == 0


def _prompt_id(song: JudgedSong) -> str:
    if song.collection is None:
        raise ValueError(f"candidate {song.song_id} names no prompt")
    return song.collection
