"""Zero-shot tags: the tags of a list whose sentences a text-music model (CLAP, MuQ-MuLan) holds nearest to a song."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from jaxtyping import Float32, Float64
from torch import Tensor

from annotation.spectrum.usable import ANALYSIS_RATE_HZ, is_silent, require_usable
from annotation.tags.features import TagFeatures, tag_features
from annotation.tags.protocol import NO_TAGS, TagEstimate, Tags
from annotation.tags.tag_lists import EMOTION, GENDER, GENRE, INSTRUMENT, TAG_LISTS, TIMBRE, TagList
from levo.codec.intake import mono_at_rate
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.waveform import Waveform

_SHORTEST_S = 0.1
_E3_HZ, _E4_HZ = 164.81, 329.63


class TextMusicEmbedder(Protocol):
    """Texts and songs as unit vectors of one space."""

    @property
    def digest(self) -> str:
        """Names the weights."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Float32[Tensor, "text embedding"]:
        """A row a text."""
        ...

    def embed_song(self, song: Waveform) -> Float32[Tensor, " embedding"]:
        """A song's vector; raises `ValueError` for one that cannot be heard."""
        ...


@dataclass(frozen=True)
class ZeroShotTagger:
    """Genre, emotion and instruments from the mixture, gender and timbre from the vocal; tempo, register by formula.

    The tempo is told as LeVo's descriptions tell it, `the bpm is 110`; the register is low where the vocal's middle
    pitch is below E3, high where it is above E4.

    A tag's probability is the softmax of its list's cosines, times `scale`; a list's best tag is given where it is
    likelier than `min_lift` times chance, else the list stays empty.
    """

    embedder: TextMusicEmbedder
    lists: tuple[TagList, ...] = TAG_LISTS
    scale: float = 20.0
    min_lift: float = 1.2

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.min_lift < 0:
            raise ValueError(f"scale is {self.scale}, min_lift {self.min_lift}; expected more than 0, and 0 or more")

    @cached_property
    def digest(self) -> str:
        """The embedder, the lists and the settings."""
        settings = {"lists": list(self.lists), "scale": self.scale, "min_lift": self.min_lift}
        return digest_json({"tagger": "zero-shot", "version": 2, "embedder": self.embedder.digest, **settings})

    def tag(self, stems: Stems) -> Tags:
        """Tags of one song's stems; a silent stem gives none of the tags that are heard in it."""
        for stem, name in ((stems.vocal, "vocal"), (stems.accompaniment, "accompaniment")):
            require_usable(stem, name, _SHORTEST_S)
        if is_silent(stems.mixture.samples):
            return NO_TAGS
        vocal = None if is_silent(stems.vocal.samples) else self._vector(stems.vocal)
        mixture = self._vector(stems.mixture)
        heard = {one.kind: self._estimates(one, vocal if one in (GENDER, TIMBRE) else mixture) for one in self.lists}
        instruments = heard.get(INSTRUMENT.kind, [])
        features = _features(stems)
        bpm = features.tempo_bpm
        return Tags(
            voice=_first(heard.get(GENDER.kind)),
            register=_register(features.voice),
            tempo=None if bpm is None else TagEstimate(f"the bpm is {round(bpm)}", 1.0),
            instrument=_first(instruments),
            mood=_first(heard.get(EMOTION.kind)),
            drums=None,
            tempo_bpm=bpm,
            timbre=_first(heard.get(TIMBRE.kind)),
            genre=_first(heard.get(GENRE.kind)),
            more_instruments=tuple(instruments[1:]),
        )

    @cached_property
    def _sentences(self) -> dict[str, Float32[Tensor, "tag embedding"]]:
        return {one.kind: self.embedder.embed_text(one.sentences) for one in self.lists}

    def _vector(self, sound: Waveform) -> Float32[Tensor, " embedding"] | None:
        try:
            return self.embedder.embed_song(sound)
        except ValueError:
            return None

    def _estimates(self, tags: TagList, vector: Float32[Tensor, " embedding"] | None) -> list[TagEstimate]:
        """The tags of a list, the likeliest first."""
        if vector is None:
            return []
        probabilities = (self.scale * (self._sentences[tags.kind] @ vector)).softmax(dim=0)
        order = probabilities.argsort(descending=True, stable=True)[: tags.max_tags].tolist()
        best = float(probabilities[order[0]])
        if best * len(tags.tags) < self.min_lift:
            return []
        near = [place for place in order if float(probabilities[place]) >= (1 - tags.margin) * best]
        return [TagEstimate(tags.tags[place], float(probabilities[place])) for place in near]


def _first(estimates: list[TagEstimate] | None) -> TagEstimate | None:
    return estimates[0] if estimates else None


def _features(stems: Stems) -> TagFeatures:
    vocal, rest = (mono_at_rate(stem, ANALYSIS_RATE_HZ, "stem") for stem in (stems.vocal, stems.accompaniment))
    return tag_features(vocal, rest)


def _register(voice: Float64[Array, " feature"] | None) -> TagEstimate | None:
    """From the quartiles of the pitch, in octaves above 1 Hz."""
    if voice is None:
        return None
    middle_hz = 2 ** float(voice[1])
    name = "low" if middle_hz < _E3_HZ else "high" if middle_hz > _E4_HZ else "middle"
    return TagEstimate(f"{name} register", 1.0)
