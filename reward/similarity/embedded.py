"""The embedded similarity judge: two small towers fitted on rendered songs, used through the protocol."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.song.scores import Score, missing_score
from levo.song.waveform import Waveform
from reward.audible import audible
from reward.listener import ListenerConfig
from reward.similarity.towers import MusicTower, TextTower, TowerConfig
from reward.similarity.vocabulary import TagVocabulary
from reward.spectrogram import spectrogram

SHORTEST_SONG_S = 1.0
_KIND = "similarity"
_MAX_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Embedding:
    vector: Float32[Tensor, " embedding"] | None
    missing: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSimilarity:
    """Two fitted towers and the tags that they know."""

    vocabulary: TagVocabulary
    music: MusicTower
    text: TextTower
    _heard: dict[str, _Embedding] = field(default_factory=dict, repr=False)
    """Embeddings by the digest of the sound: a song is asked about twice, its prompt by every song that answers it."""

    @property
    def digest(self) -> str:
        """SHA-256 over vocabulary, sizes and weights."""
        return self._stored().digest

    def similarity_to_text(self, songs: Sequence[Waveform], descriptions: Sequence[Description]) -> list[Score]:
        """Cosine of each song with its own description; missing too where no tag of the description is known."""
        _check_equal(songs, descriptions, "descriptions")
        heard = [self._embed_song(song) for song in songs]
        return [_cosine(song, self._embed_text(text)) for song, text in zip(heard, descriptions, strict=True)]

    def similarity_to_audio(self, songs: Sequence[Waveform], prompts: Sequence[Waveform]) -> list[Score]:
        """Cosine of each song with its own audio prompt."""
        _check_equal(songs, prompts, "prompts")
        return [
            _cosine(self._embed_song(song), self._embed_song(prompt))
            for song, prompt in zip(songs, prompts, strict=True)
        ]

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

    def _embed_song(self, song: Waveform) -> _Embedding:
        name = digest_bytes(song.samples.tobytes(), str(song.sample_rate_hz).encode())
        if name not in self._heard:
            if len(self._heard) >= _MAX_REMEMBERED:
                self._heard.clear()
            self._heard[name] = self._embed(song)
        return self._heard[name]

    @torch.no_grad()
    def _embed(self, song: Waveform) -> _Embedding:
        """Songs go through the tower one by one, so that a song's score does not depend on its neighbours."""
        heard = audible(song, SHORTEST_SONG_S)
        if heard.missing is not None:
            return _Embedding(None, heard.missing)
        return _Embedding(self.music(spectrogram(heard.samples)[None])[0])

    @torch.no_grad()
    def _embed_text(self, description: Description) -> _Embedding:
        bag = self.vocabulary.bag(description)
        if not bag.any():
            return _Embedding(None, f"no known tag among {list(description.tags)}")
        return _Embedding(self.text(bag))


def _cosine(one: _Embedding, other: _Embedding) -> Score:
    if one.vector is None or other.vector is None:
        return missing_score(str(one.missing or other.missing))
    return Score(float(one.vector @ other.vector))


def _check_equal(songs: Sequence[Waveform], others: Sequence[object], name: str) -> None:
    if len(songs) != len(others):
        raise ValueError(f"{len(songs)} songs and {len(others)} {name}; expected one for each song")
