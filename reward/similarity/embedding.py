"""Embeddings of songs as the similarity judges compare them: a unit vector, or the reason why there is none."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float32
from torch import Tensor

from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.song.scores import Score, missing_score
from levo.song.waveform import Waveform

_MAX_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector of unit length, or what is missing."""

    vector: Float32[Tensor, " embedding"] | None
    missing: str | None = None

    @property
    def required(self) -> Float32[Tensor, " embedding"]:
        """The vector; raises `ValueError`, with the reason, where there is none."""
        if self.vector is None:
            raise ValueError(f"a song that cannot be embedded: {self.missing}")
        return self.vector


@dataclass(frozen=True, slots=True, eq=False)
class HeardSongs:
    """Embeddings by the digest of the sound: a song is asked about twice, its prompt by every song that answers it."""

    _known: dict[str, Embedding] = field(default_factory=dict, repr=False)

    def of(self, song: Waveform, embed: Callable[[Waveform], Embedding]) -> Embedding:
        """The song's embedding, from `embed` where it was not heard before."""
        name = digest_bytes(song.samples.tobytes(), str(song.sample_rate_hz).encode())
        if name not in self._known:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[name] = embed(song)
        return self._known[name]


def cosine(one: Embedding, other: Embedding) -> Score:
    """Their cosine; missing where either is."""
    if one.vector is None or other.vector is None:
        return missing_score(str(one.missing or other.missing))
    return Score(float(one.vector @ other.vector))


def check_equal(songs: Sequence[Waveform], others: Sequence[object], name: str) -> None:
    """Raise `ValueError` where there is not one of `others` for each song."""
    if len(songs) != len(others):
        raise ValueError(f"{len(songs)} songs and {len(others)} {name}; expected one for each song")


@dataclass(frozen=True, eq=False)
class ContrastiveJudge(ABC):
    """A model that reads sentences and hears songs: what its judges share is how its vectors are asked and compared."""

    _heard: HeardSongs = field(default_factory=HeardSongs, repr=False, kw_only=True)

    def similarity_to_text(self, songs: Sequence[Waveform], descriptions: Sequence[Description]) -> list[Score]:
        """Each song's embedding times that of its own description's text: its tags with commas between them."""
        check_equal(songs, descriptions, "descriptions")
        texts = [", ".join(description.tags) for description in descriptions]
        heard = self._songs(songs)
        vectors = iter(self.embed_text([text for text in texts if text])) if any(texts) else iter(())
        read = [Embedding(next(vectors)) if text else Embedding(None, "the description has no tags") for text in texts]
        return [cosine(*pair) for pair in zip(heard, read, strict=True)]

    def similarity_to_audio(self, songs: Sequence[Waveform], prompts: Sequence[Waveform]) -> list[Score]:
        """Each song's embedding times that of its own audio prompt."""
        check_equal(songs, prompts, "prompts")
        return [cosine(*pair) for pair in zip(self._songs(songs), self._songs(prompts), strict=True)]

    def embed_song(self, song: Waveform) -> Float32[Tensor, " embedding"]:
        """The song's embedding; raises `ValueError`, with the reason, for a song that has none."""
        return self._embed(song).required

    @abstractmethod
    def embed_text(self, texts: Sequence[str]) -> Float32[Tensor, "text embedding"]:
        """Unit vectors of texts, each of which does not depend on the others."""

    @abstractmethod
    def _embed(self, song: Waveform) -> Embedding: ...

    def _songs(self, songs: Sequence[Waveform]) -> list[Embedding]:
        return [self._heard.of(song, self._embed) for song in songs]
