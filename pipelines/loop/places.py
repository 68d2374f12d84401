"""Where a run keeps what it makes: one folder, with a fixed name for every artefact."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """The paths inside one run's folder."""

    folder: Path

    @property
    def voice(self) -> Path:
        """The rendered world's bank of sung notes."""
        return self.folder / "voice"

    @property
    def songs(self) -> Path:
        """The rendered corpus as audio files and metadata."""
        return self.folder / "songs"

    @property
    def truth(self) -> Path:
        """What the rendered corpus really is; read by evaluation alone."""
        return self.songs / "truth.parquet"

    @property
    def separation_sample(self) -> Path:
        """The songs whose stems are taken away, so that they have to be separated."""
        return self.folder / "separation_sample"

    @property
    def corpus(self) -> Path:
        """The labelled corpus."""
        return self.folder / "corpus"

    @property
    def separated_corpus(self) -> Path:
        """The labelled separation sample."""
        return self.folder / "separated_corpus"

    @property
    def recordings_corpus(self) -> Path:
        """The labelled real recordings."""
        return self.folder / "recordings_corpus"

    @property
    def models(self) -> Path:
        """Codec and judges."""
        return self.folder / "models"

    @property
    def tokenizer(self) -> Path:
        """The text tokenizer, built from the corpus's words."""
        return self.models / "tokenizer"

    @property
    def prompts(self) -> Path:
        """The prompts of all sets."""
        return self.folder / "prompts"

    @property
    def pairs(self) -> Path:
        """Preference pairs with their provenance."""
        return self.folder / "pairs"

    @property
    def training(self) -> Path:
        """Examples, pairs, checkpoints and curves of all training phases."""
        return self.folder / "training"

    def lelm(self, name: str) -> Path:
        """A song model by name: initial, base, lyric, prompt, musicality, mixed, interpolated."""
        return self.folder / "lelm" / name

    def candidates(self, name: str) -> Path:
        """Sampled songs of one model on one prompt set, and their scores."""
        return self.folder / "candidates" / name
