"""The held-out judge of descriptions: the share of a description's checkable tags that can be heard, by formula.

Each attribute is a few numbers; its tags are normal clouds of them with one covariance (linear discriminant analysis),
whose centres are measured on songs with known tags. A tag's agreement is its posterior among its attribute's tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.special import softmax

from levo.codec.stems import Stems
from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.arrays import Array
from levo.song.description import Description
from levo.song.scores import Metric, Score, missing_score
from reward.audible import audible
from reward.judges.tag_features import ATTRIBUTE_NUMBERS, HeardStems, hear

TAG_AGREEMENT_METRIC = Metric("tag_agreement", "higher", "share of checkable tags", "held_out")
SHORTEST_SONG_S = 2.0
_KIND = "tag agreement"
_RIDGE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class AttributeClouds:
    """One attribute's tags: a centre each, and what whitens the numbers (inverse root of the common covariance)."""

    tags: tuple[str, ...]
    centres: Float64[Array, "tag number"]
    whitening: Float64[Array, "number number"]

    def posterior(self, numbers: Float64[Array, " number"]) -> Float64[Array, " tag"]:
        """Probability of each tag, all being equally likely beforehand."""
        distances = np.square((self.centres - numbers) @ self.whitening).sum(axis=1)
        shares: Float64[Array, " tag"] = softmax(-0.5 * distances)
        return shares


@dataclass(frozen=True, slots=True)
class TagAgreement:
    """One song's agreement: the mean, or why there is none, and the posterior of each tag that was checked."""

    score: Score
    by_tag: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class TagAgreementJudge:
    """The measured clouds by attribute."""

    clouds: Mapping[str, AttributeClouds]

    @property
    def digest(self) -> str:
        """SHA-256 over all centres and covariances."""
        return self._stored().digest

    def judge(self, songs: Sequence[Stems], descriptions: Sequence[Description]) -> list[TagAgreement]:
        """Each song against its own description. `ValueError` where the two differ in number."""
        if len(songs) != len(descriptions):
            raise ValueError(f"{len(songs)} songs and {len(descriptions)} descriptions; expected one for each song")
        return [self._judge(song, description) for song, description in zip(songs, descriptions, strict=True)]

    def heard_tags(self, song: Stems) -> dict[str, str]:
        """The likeliest tag of each attribute that can be heard."""
        numbers = _numbers(hear(song), self.clouds)
        return {
            name: self.clouds[name].tags[int(self.clouds[name].posterior(row).argmax())]
            for name, row in numbers.items()
        }

    def save(self, folder: Path) -> None:
        """Write the judge as a folder."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path) -> "TagAgreementJudge":
        """Read what `save` wrote."""
        stored = load_stored(folder, _KIND)
        return cls(
            {
                name: AttributeClouds(tuple(tags), stored.arrays[f"{name}.centres"], stored.arrays[f"{name}.whitening"])
                for name, tags in stored.config["tags"].items()
            }
        )

    def _stored(self) -> StoredModel:
        arrays: dict[str, Array] = {}
        for name, clouds in self.clouds.items():
            arrays[f"{name}.centres"], arrays[f"{name}.whitening"] = clouds.centres, clouds.whitening
        return StoredModel(_KIND, {"tags": {name: clouds.tags for name, clouds in self.clouds.items()}}, arrays)

    def _judge(self, song: Stems, description: Description) -> TagAgreement:
        mixture = audible(song.mixture, SHORTEST_SONG_S)
        if mixture.missing is not None:
            return TagAgreement(mixture.score, {})
        by_tag: dict[str, float] = {}
        for name, numbers in _numbers(hear(song), self.clouds).items():
            clouds = self.clouds[name]
            posterior = clouds.posterior(numbers)
            by_tag |= {tag: float(posterior[clouds.tags.index(tag)]) for tag in description.tags if tag in clouds.tags}
        if not by_tag:
            return TagAgreement(missing_score(f"no checkable tag among {list(description.tags)}"), {})
        return TagAgreement(Score(float(np.mean(list(by_tag.values())))), by_tag)


def calibrate_tag_agreement(
    songs: Sequence[Stems], descriptions: Sequence[Description], vocabulary: Mapping[str, Sequence[str]]
) -> TagAgreementJudge:
    """Measure the clouds on songs whose descriptions are true, decoded as the judged songs will be.

    Attributes of the vocabulary for which there is no formula are left out. Raises `ValueError` where a tag has
    fewer than two songs.
    """
    heard = [hear(song) for song in songs]
    clouds: dict[str, AttributeClouds] = {}
    for name in vocabulary.keys() & ATTRIBUTE_NUMBERS.keys():
        tags = tuple(vocabulary[name])
        rows = [_rows_of(tag, name, heard, descriptions) for tag in tags]
        clouds[name] = _clouds(tags, rows)
    return TagAgreementJudge(dict(sorted(clouds.items())))


def _rows_of(
    tag: str, name: str, heard: Sequence[HeardStems], descriptions: Sequence[Description]
) -> Float64[Array, "song number"]:
    with_tag = [song for song, description in zip(heard, descriptions, strict=True) if tag in description.tags]
    rows = [numbers for numbers in map(ATTRIBUTE_NUMBERS[name], with_tag) if numbers is not None]
    if len(rows) < 2:
        raise ValueError(f"tag {tag!r} can be heard in {len(rows)} songs; calibration needs 2 or more")
    return np.stack(rows)


def _clouds(tags: tuple[str, ...], rows: Sequence[Float64[Array, "song number"]]) -> AttributeClouds:
    """Centres, and the inverse root of the pooled covariance, shrunk a little towards its own diagonal."""
    centres = np.stack([row.mean(axis=0) for row in rows])
    spread = np.concatenate([row - centre for row, centre in zip(rows, centres, strict=True)])
    covariance = spread.T @ spread / max(1, len(spread) - len(tags))
    covariance = (
        (1 - _RIDGE) * covariance + (_RIDGE + 1e-6) * np.diag(np.diag(covariance)) + 1e-9 * np.eye(len(covariance))
    )
    values, vectors = np.linalg.eigh(covariance)
    return AttributeClouds(tags, centres, vectors / np.sqrt(values))


def _numbers(heard: HeardStems, clouds: Mapping[str, AttributeClouds]) -> dict[str, Float64[Array, " number"]]:
    found = {name: ATTRIBUTE_NUMBERS[name](heard) for name in clouds}
    return {name: numbers for name, numbers in found.items() if numbers is not None}
