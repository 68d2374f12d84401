"""The embedded models of the corpus flow, read from the models folder of a run."""

from functools import partial
from pathlib import Path

from annotation.recogniser.ctc import CtcRecogniser
from annotation.separation.embedded import EmbeddedSeparator
from annotation.structure.embedded import EmbeddedStructureLabeller
from annotation.tags.embedded import EmbeddedTagger
from levo.codec.embedded import EmbeddedCodec
from pipelines.corpus.flow import CorpusModels
from pipelines.flow.model_source import model_source
from reward.musicality.embedded import EmbeddedMusicality

CODEC, RECOGNISER, TAGGER, MUSICALITY = "codec", "recogniser", "tagger", "musicality"


def embedded_models(models: Path) -> CorpusModels:
    """Models from the sub-folders `codec`, `recogniser`, `tagger` and `musicality`; ValueError where one is missing."""
    folder = models.resolve()
    missing = [name for name in (CODEC, RECOGNISER, TAGGER, MUSICALITY) if not (folder / name).is_dir()]
    if missing:
        raise ValueError(f"{models} lacks {', '.join(missing)}; expected the models folder of a finished `levo demo`")
    codec = model_source(partial(EmbeddedCodec.load, folder / CODEC))
    return CorpusModels(
        separator=model_source(EmbeddedSeparator),
        codec=codec,
        separation_rate_hz=codec.open().sample_rate_hz,
        recogniser=model_source(partial(CtcRecogniser.load, folder / RECOGNISER)),
        labeller=model_source(EmbeddedStructureLabeller),
        tagger=model_source(partial(EmbeddedTagger.load, folder / TAGGER)),
        judge=model_source(partial(EmbeddedMusicality.load, folder / MUSICALITY)),
    )
