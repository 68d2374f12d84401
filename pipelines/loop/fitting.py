"""Fits the run's codec and judges, each on rendered songs of its own, and stores them as models with digests."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.training import RecogniserTrainingConfig, train_recogniser
from annotation.tags.embedded import EmbeddedTagger
from levo.codec.config import EmbeddedCodecConfig
from levo.codec.embedded import EmbeddedCodec
from levo.codec.stems import stems_of
from levo.song.files import write_json
from levo.song.labelled import LabelledSong
from levo.song.scores import Score
from levo.song.waveform import Waveform
from pipelines.corpus.embedded import CODEC, MUSICALITY, RECOGNISER, TAGGER
from pipelines.loop.config import JudgesConfig
from pipelines.loop.judge_truth import JudgeTruth, judge_truth
from pipelines.loop.metrics import PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT
from pipelines.rendered.draw import render_training_songs
from pipelines.rendered.voice import Voice
from pipelines.rendered.world import TAG_VOCABULARY
from reward.judges.defects import calibrate_defects
from reward.judges.tag_agreement import calibrate_tag_agreement
from reward.musicality.degradation import ranked_songs
from reward.musicality.embedded import EmbeddedMusicality
from reward.musicality.protocol import MUSICALITY_METRIC
from reward.musicality.ranking import PairAgreement
from reward.musicality.training import MusicalityTraining, fit_musicality
from reward.noise import BatchScorer, ScorerNoise, measure_noise, nuisance_versions
from reward.phoneme_error import phoneme_error_score
from reward.similarity.embedded import EmbeddedSimilarity
from reward.similarity.training import DescribedSong, SimilarityTraining, fit_similarity
from reward.similarity.vocabulary import vocabulary_of

StepProgress = Callable[[int, int], None]

SIMILARITY, TAG_AGREEMENT, DEFECTS = "similarity", "tag_agreement", "defects"
NOISE_FILE = "noise.json"


@dataclass(frozen=True, slots=True)
class FittingPlaces:
    """Where the models go, and the seed that all of them are drawn from (each in a name space of its own)."""

    models: Path
    seed: int


def fit_codec(config: JudgesConfig, places: FittingPlaces, voice: Voice) -> str:
    """Fit the codec, its semantic encoder included; returns its digest."""
    songs = _songs(CODEC, config.num_codec_songs, places, voice)
    default = EmbeddedCodecConfig()
    semantic = replace(default.mixed.semantic, num_steps=config.semantic_steps)
    fitting = replace(default, mixed=replace(default.mixed, semantic=semantic))
    codec = EmbeddedCodec.fit(songs, seed=places.seed, config=fitting)
    codec.save(places.models / CODEC)
    return codec.digest


def fit_recogniser(config: JudgesConfig, places: FittingPlaces, voice: Voice, progress: StepProgress) -> str:
    """Train the recogniser that labels the corpus and scores songs; returns its digest.

    Its songs, seed and architecture are not those of the codec's semantic encoder: the song model must not speak its
    judge's own features.
    """
    songs = _songs(RECOGNISER, config.num_recogniser_songs, places, voice)
    recogniser = train_recogniser(
        songs,
        _decoded(songs, places),
        Lexicon(voice.lexicon),
        seed=places.seed + 1,
        config=replace(RecogniserTrainingConfig(), num_steps=config.recogniser_steps),
        progress=lambda step: progress(step.step, step.num_steps),
    )
    recogniser.save(places.models / RECOGNISER)
    return recogniser.digest


def fit_similarity_judge(config: JudgesConfig, places: FittingPlaces, voice: Voice, progress: StepProgress) -> str:
    """Train the two towers on songs as rendered and as decoded; returns their digest."""
    songs = _songs(SIMILARITY, config.num_similarity_songs, places, voice)
    heard = [
        DescribedSong(waveform, song.description)
        for song, decoded in zip(songs, _decoded(songs, places), strict=True)
        for waveform in (song.mixture, decoded)
    ]
    judge = fit_similarity(
        heard,
        vocabulary_of(tuple(TAG_VOCABULARY.values())),
        seed=places.seed + 2,
        training=SimilarityTraining(num_steps=config.similarity_steps),
        progress=lambda step, num_steps, _loss: progress(step, num_steps),
    )
    judge.save(places.models / SIMILARITY)
    return judge.digest


@dataclass(frozen=True, slots=True)
class MusicalityFit:
    """The reward's digest, and how well it orders versions of songs that it was not trained on."""

    digest: str
    kept_out: PairAgreement


def fit_musicality_judge(
    config: JudgesConfig, places: FittingPlaces, voice: Voice, progress: StepProgress
) -> MusicalityFit:
    """Train the Bradley-Terry reward on songs spoilt step by step."""
    songs = _songs(MUSICALITY, config.num_musicality_songs, places, voice)
    codec = EmbeddedCodec.load(places.models / CODEC)
    ranked = list(ranked_songs([(song.song_id, stems_of(song)) for song in songs], codec, seed=places.seed + 3))
    fitted = fit_musicality(
        ranked,
        seed=places.seed + 3,
        training=MusicalityTraining(num_steps=config.musicality_steps),
        progress=lambda step, num_steps, _loss: progress(step, num_steps),
    )
    fitted.reward.save(places.models / MUSICALITY)
    return MusicalityFit(fitted.reward.digest, fitted.kept_out)


def fit_tagger(config: JudgesConfig, places: FittingPlaces, voice: Voice) -> str:
    """Fit the tagger's centroids on songs as rendered and as decoded; returns its digest."""
    songs = _songs(TAGGER, config.num_tagger_songs, places, voice)
    codec = EmbeddedCodec.load(places.models / CODEC)
    heard = [stems_of(song) for song in songs]
    decoded = [codec.decode(codec.encode(stems)) for stems in heard]
    descriptions = [song.description for song in songs]
    tagger = EmbeddedTagger.fit([*heard, *decoded], [*descriptions, *descriptions], TAG_VOCABULARY)
    tagger.save(places.models / TAGGER)
    return tagger.digest


@dataclass(frozen=True, slots=True)
class HeldOutFit:
    """The formula judges' digests by name, and how far all held-out judges agree with the rendered truth."""

    digests: dict[str, str]
    truth: JudgeTruth


def calibrate_held_out_judges(config: JudgesConfig, places: FittingPlaces, voice: Voice) -> HeldOutFit:
    """Measure what the formula judges expect of clean decoded songs, then how they do on other songs."""
    songs = _songs("held-out", config.num_tagger_songs, places, voice)
    codec = EmbeddedCodec.load(places.models / CODEC)
    decoded = [codec.decode(codec.encode(stems_of(song))) for song in songs]
    tags = calibrate_tag_agreement(decoded, [song.description for song in songs], TAG_VOCABULARY)
    defects = calibrate_defects(decoded)
    tags.save(places.models / TAG_AGREEMENT)
    defects.save(places.models / DEFECTS)
    truth = judge_truth(tags, defects, codec, voice, num_songs=config.num_noise_songs, seed=places.seed)
    return HeldOutFit({TAG_AGREEMENT: tags.digest, DEFECTS: defects.digest}, truth)


def measure_scorer_noise(judge: str, config: JudgesConfig, places: FittingPlaces, voice: Voice) -> ScorerNoise:
    """How far one of the `NOISY_JUDGES` moves in its score of a song under changes that do not matter."""
    songs = _songs("noise", config.num_noise_songs, places, voice)
    versions = nuisance_versions(_decoded(songs, places), places.seed)
    metric, digest, score = _SCORERS[judge](places.models / judge, songs, Lexicon(voice.lexicon))
    return measure_noise(metric, digest, score, versions)


def write_scorer_noise(noises: Sequence[ScorerNoise], models: Path) -> dict[str, ScorerNoise]:
    """Store the judges' noise with their models; returns it by metric."""
    by_metric = {noise.metric: noise for noise in noises}
    write_json(models / NOISE_FILE, {metric: asdict(noise) for metric, noise in by_metric.items()})
    return by_metric


def read_scorer_noise(models: Path) -> dict[str, ScorerNoise]:
    """What `measure_scorer_noise` stored."""
    stored = json.loads((models / NOISE_FILE).read_text())
    return {name: ScorerNoise(**fields) for name, fields in stored.items()}


def _songs(purpose: str, num_songs: int, places: FittingPlaces, voice: Voice) -> list[LabelledSong]:
    return render_training_songs(num_songs, places.seed, voice, long_share=0.05, purpose=purpose)


def _decoded(songs: list[LabelledSong], places: FittingPlaces) -> list[Waveform]:
    codec = EmbeddedCodec.load(places.models / CODEC)
    return [codec.decode(codec.encode(stems_of(song))).mixture for song in songs]


Scorer = tuple[str, str, BatchScorer]
"""A metric, the digest of the model that measures it, and how it scores songs."""


def _word_scorer(model: Path, songs: Sequence[LabelledSong], lexicon: Lexicon) -> Scorer:
    recogniser = CtcRecogniser.load(model)
    asked = [list(lexicon.phonemes_of(song.lyrics.words)) for song in songs]

    def phoneme_errors(sounds: Sequence[Waveform]) -> list[Score]:
        heard = recogniser.transcribe(sounds)
        return [phoneme_error_score(one, other.phoneme_names) for one, other in zip(asked, heard, strict=True)]

    return PHONEME_ERROR_RATE.name, recogniser.digest, phoneme_errors


def _tag_scorer(model: Path, songs: Sequence[LabelledSong], _lexicon: Lexicon) -> Scorer:
    similarity = EmbeddedSimilarity.load(model)

    def to_text(sounds: Sequence[Waveform]) -> list[Score]:
        return similarity.similarity_to_text(sounds, [song.description for song in songs])

    return SIMILARITY_TO_TEXT.name, similarity.digest, to_text


def _playing_scorer(model: Path, _songs: Sequence[LabelledSong], _lexicon: Lexicon) -> Scorer:
    musicality = EmbeddedMusicality.load(model)
    return MUSICALITY_METRIC.name, musicality.digest, musicality.score


_SCORERS: dict[str, Callable[[Path, Sequence[LabelledSong], Lexicon], Scorer]] = {
    RECOGNISER: _word_scorer,
    SIMILARITY: _tag_scorer,
    MUSICALITY: _playing_scorer,
}
NOISY_JUDGES = tuple(_SCORERS)
"""The judges that make pairs, by the names of their models: those whose noise is measured."""
