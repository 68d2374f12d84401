"""What every step of a run starts from: its configuration, its places, and the models that earlier steps left there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.pocketsphinx import PocketSphinxRecogniser
from levo.codec.embedded import EmbeddedCodec
from levo.song.digest import digest_json
from pipelines.corpus.check import AudioPlaces
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.embedded import CODEC, embedded_models
from pipelines.corpus.flow import CorpusModels
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.flow.model_source import Digested, ModelSource, model_source
from pipelines.loop.config import LoopConfig
from pipelines.loop.fitting import (
    DEFECTS,
    SIMILARITY,
    TAG_AGREEMENT,
    FittingPlaces,
    read_scorer_noise,
)
from pipelines.loop.places import RunPlaces
from pipelines.loop.scoring import HeldOutJudges, ScoringModels
from pipelines.rendered.voice import Voice, open_voice
from reward.judges.defects import DefectsJudge
from reward.judges.tag_agreement import TagAgreementJudge
from reward.similarity.embedded import EmbeddedSimilarity

Model = TypeVar("Model", bound=Digested)


@dataclass(frozen=True, slots=True)
class LoopContext:
    """One run's configuration and places."""

    config: LoopConfig
    places: RunPlaces

    @property
    def fitting(self) -> FittingPlaces:
        """Where models are fitted."""
        return FittingPlaces(self.places.models, self.config.seed)

    def voice(self) -> Voice:
        """The rendered world's voice, its notes synthesised at the first call of the run."""
        return open_voice(self.config.world, self.places.voice)

    def codec(self) -> EmbeddedCodec:
        """The run's codec."""
        return EmbeddedCodec.load(self.places.models / CODEC)

    def lexicon(self) -> Lexicon:
        """Pronunciations of the world's words."""
        return Lexicon(self.voice().lexicon)

    def corpus_models(self) -> CorpusModels:
        """The models of the corpus flow's stages."""
        return embedded_models(self.places.models)

    def scoring_models(self) -> ScoringModels:
        """The corpus flow's models, and the similarity judge."""
        corpus = self.corpus_models()
        return ScoringModels(
            codec=corpus.codec,
            recogniser=corpus.recogniser,
            labeller=corpus.labeller,
            tagger=corpus.tagger,
            musicality=corpus.judge,
            similarity=self._stored(EmbeddedSimilarity.load, SIMILARITY),
        )

    def held_out_judges(self, heard_more: frozenset[str], songs_heard: int = 2) -> HeldOutJudges:
        """The judges that make no pair; of the models `heard_more` (short digests) they hear `songs_heard` a prompt."""
        lexicon = self.lexicon()
        return HeldOutJudges(
            recogniser=model_source(partial(PocketSphinxRecogniser, lexicon)),
            tags=self._stored(TagAgreementJudge.load, TAG_AGREEMENT),
            defects=self._stored(DefectsJudge.load, DEFECTS),
            heard_more=heard_more,
            songs_heard=songs_heard,
        )

    def judges_digest(self) -> str:
        """Of all that hears and judges the run's songs: the models, and the measured noise of those that make pairs."""
        models, held_out = self.scoring_models(), self.held_out_judges(frozenset())
        sources = (
            models.codec,
            models.recogniser,
            models.labeller,
            models.tagger,
            models.musicality,
            models.similarity,
            held_out.recogniser,
            held_out.tags,
            held_out.defects,
        )
        return digest_json([[source.digest for source in sources], read_scorer_noise(self.places.models)])

    def audio_places(self, folder: Path) -> AudioPlaces:
        """Where the sound of candidates kept under `folder` lies; nothing of it comes from recordings."""
        root = FolderRoot(folder)
        return AudioPlaces(root, root.folder / "objects", AudioLimits(min_duration_s=0.0))

    def _stored(self, load: Callable[[Path], Model], name: str) -> ModelSource[Model]:
        return model_source(partial(load, self.places.models.resolve() / name))
