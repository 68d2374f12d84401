"""The embedded tagger: formula features of the stems, and for each attribute the nearest centroid of fitted songs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from annotation.spectrum.usable import ANALYSIS_RATE_HZ, require_usable
from annotation.tags.centroids import Centroids, fit_centroids
from annotation.tags.features import TagFeatures, tag_features
from annotation.tags.protocol import TagEstimate, Tags
from levo.codec.intake import mono_at_rate
from levo.codec.stems import Stems
from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.description import Description
from levo.song.waveform import Waveform

ATTRIBUTES = ("voice", "tempo", "instrument", "mood", "drums")
_KIND = "embedded-tagger-1"
_SHORTEST_S = 0.1


@dataclass(frozen=True, eq=False)
class EmbeddedTagger:
    """One set of centroids an attribute."""

    centroids: Mapping[str, Centroids]

    @classmethod
    def fit(
        cls, songs: Sequence[Stems], descriptions: Sequence[Description], vocabulary: Mapping[str, Sequence[str]]
    ) -> "EmbeddedTagger":
        """Centroids from songs whose tags are known; give songs in every form that will be heard, decoded ones too.

        The vocabulary lists each attribute's tags. A song teaches an attribute where its description names exactly
        one of its tags and it can be heard. Raises `ValueError` for a missing attribute or a tag with too few songs.
        """
        missing = [attribute for attribute in ATTRIBUTES if attribute not in vocabulary]
        if missing:
            raise ValueError(f"vocabulary lacks the attributes {missing}; expected {list(ATTRIBUTES)}")
        features = [_features(stems) for stems in songs]
        return cls({name: _fit_attribute(name, features, descriptions, vocabulary[name]) for name in ATTRIBUTES})

    def tag(self, stems: Stems) -> Tags:
        """Tags of one song's stems."""
        features = _features(stems)
        return Tags(
            voice=self._estimate("voice", features),
            tempo=self._estimate("tempo", features),
            instrument=self._estimate("instrument", features),
            mood=self._estimate("mood", features),
            drums=self._estimate("drums", features),
            tempo_bpm=features.tempo_bpm,
        )

    @cached_property
    def digest(self) -> str:
        """Of the classes and centroids."""
        return self._stored().digest

    def save(self, folder: Path) -> None:
        """Write the fitted centroids as a model folder."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path) -> "EmbeddedTagger":
        """Read a model folder; `ValueError` where it holds something else."""
        stored = load_stored(folder, _KIND)
        arrays = stored.arrays
        return cls(
            {
                name: Centroids(tuple(classes), arrays[f"{name}.centroids"], arrays[f"{name}.whitening"])
                for name, classes in stored.config["classes"].items()
            }
        )

    def _stored(self) -> StoredModel:
        classes = {name: list(fitted.classes) for name, fitted in self.centroids.items()}
        arrays = {f"{name}.centroids": fitted.centroids for name, fitted in self.centroids.items()}
        arrays |= {f"{name}.whitening": fitted.whitening for name, fitted in self.centroids.items()}
        return StoredModel(_KIND, {"classes": classes}, {key: np.ascontiguousarray(arrays[key]) for key in arrays})

    def _estimate(self, attribute: str, features: TagFeatures) -> TagEstimate | None:
        vector = getattr(features, attribute)
        if vector is None:
            return None
        fitted = self.centroids[attribute]
        probabilities = fitted.probabilities(vector)
        best = int(probabilities.argmax())
        return TagEstimate(fitted.classes[best], float(probabilities[best]))


def _features(stems: Stems) -> TagFeatures:
    return tag_features(_channel(stems.vocal, "vocal"), _channel(stems.accompaniment, "accompaniment"))


def _channel(stem: Waveform, name: str) -> np.ndarray:
    require_usable(stem, name, _SHORTEST_S)
    return mono_at_rate(stem, ANALYSIS_RATE_HZ, name)


def _fit_attribute(
    attribute: str, features: Sequence[TagFeatures], descriptions: Sequence[Description], tags: Sequence[str]
) -> Centroids:
    vectors, labels = [], []
    for heard, description in zip(features, descriptions, strict=True):
        named = [tag for tag in description.tags if tag in tags]
        vector = getattr(heard, attribute)
        if len(named) == 1 and vector is not None:
            vectors.append(vector)
            labels.append(named[0])
    absent = sorted(set(tags) - set(labels))
    if absent:
        raise ValueError(f"no song teaches the {attribute} tags {absent}")
    return fit_centroids(np.stack(vectors), labels)
