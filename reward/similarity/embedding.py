"""Embeddings of songs as the similarity judges compare them: a unit vector, or the reason why there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float32
from torch import Tensor

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
