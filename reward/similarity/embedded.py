"""The embedded similarity judge: two small towers fitted on rendered songs, used through the protocol."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.description import Description
from levo.song.scores import Score
from levo.song.waveform import Waveform
from reward.audible import audible
from reward.listener import ListenerConfig
from reward.similarity.embedding import Embedding, HeardSongs, check_equal, cosine
from reward.similarity.towers import MusicTower, TextTower, TowerConfig
from reward.similarity.vocabulary import TagVocabulary
from reward.spectrogram import spectrogram

SHORTEST_SONG_S = 1.0
_KIND = "similarity"


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSimilarity:
    """Two fitted towers and the tags that they know."""

    vocabulary: TagVocabulary
    music: MusicTower
    text: TextTower
    _heard: HeardSongs = field(default_factory=HeardSongs, repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 over vocabulary, sizes and weights."""
        return self._stored().digest

    def similarity_to_text(self, songs: Sequence[Waveform], descriptions: Sequence[Description]) -> list[Score]:
        """Cosine of each song with its own description; missing too where no tag of the description is known."""
        check_equal(songs, descriptions, "descriptions")
        heard = [self._embed_song(song) for song in songs]
        return [cosine(song, self._embed_text(text)) for song, text in zip(heard, descriptions, strict=True)]

    def similarity_to_audio(self, songs: Sequence[Waveform], prompts: Sequence[Waveform]) -> list[Score]:
        """Cosine of each song with its own audio prompt."""
        check_equal(songs, prompts, "prompts")
        return [
            cosine(self._embed_song(song), self._embed_song(prompt))
            for song, prompt in zip(songs, prompts, strict=True)
        ]

    def embed_song(self, song: Waveform) -> Float32[Tensor, " embedding"]:
        """A song's vector of unit length; raises `ValueError`, with the reason, for one that cannot be heard."""
        return self._embed_song(song).required

    def save(self, folder: Path) -> None:
        """Write the judge as a folder."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path) -> "EmbeddedSimilarity":
        """Read what `save` wrote."""
        stored = load_stored(folder, _KIND)
        towers = stored.config["towers"]
        config = TowerConfig(**{**towers, "listener": ListenerConfig(**towers["listener"])})
        judge = cls(
            TagVocabulary(tuple(tuple(tags) for tags in stored.config["attributes"])),
            MusicTower(config).eval(),
            TextTower(config).eval(),
        )
        for name, tower in judge._towers().items():
            prefix = f"{name}."
            arrays = {key.removeprefix(prefix): value for key, value in stored.arrays.items() if key.startswith(prefix)}
            tower.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
        return judge

    def _stored(self) -> StoredModel:
        arrays = {
            f"{name}.{key}": value.detach().numpy()
            for name, tower in self._towers().items()
            for key, value in tower.state_dict().items()
        }
        config = {"attributes": self.vocabulary.attributes, "towers": asdict(self.music.config)}
        return StoredModel(_KIND, config, arrays)

    def _towers(self) -> dict[str, torch.nn.Module]:
        return {"music": self.music, "text": self.text}

    def _embed_song(self, song: Waveform) -> Embedding:
        return self._heard.of(song, self._embed)

    @torch.no_grad()
    def _embed(self, song: Waveform) -> Embedding:
        """Songs go through the tower one by one, so that a song's score does not depend on its neighbours."""
        heard = audible(song, SHORTEST_SONG_S)
        if heard.missing is not None:
            return Embedding(None, heard.missing)
        return Embedding(self.music(spectrogram(heard.samples)[None])[0])

    @torch.no_grad()
    def _embed_text(self, description: Description) -> Embedding:
        bag = self.vocabulary.bag(description)
        if not bag.any():
            return Embedding(None, f"no known tag among {list(description.tags)}")
        return Embedding(self.text(bag))
