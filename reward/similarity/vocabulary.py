"""The tags that a similarity judge knows, by attribute, and descriptions as bags of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from levo.song.description import Description


@dataclass(frozen=True, slots=True)
class TagVocabulary:
    """The tags of each attribute; a song has at most one of each."""

    attributes: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if len(set(self.tags)) != len(self.tags):
            raise ValueError(f"tags {self.tags} are not all different")

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags, attribute by attribute."""
        return tuple(tag for attribute in self.attributes for tag in attribute)

    def bag(self, description: Description) -> Float32[Tensor, " tag"]:
        """1 for each known tag of a description; tags that nobody taught the judge are left out."""
        known = set(description.tags)
        return torch.tensor([float(tag in known) for tag in self.tags])

    def membership(self) -> Bool[Tensor, "attribute tag"]:
        """Which tags belong to which attribute."""
        rows = [[tag in attribute for tag in self.tags] for attribute in self.attributes]
        return torch.tensor(rows)

    def swapped(
        self, bags: Float32[Tensor, "song tag"], generator: torch.Generator
    ) -> Float32[Tensor, "song attribute tag"]:
        """Each bag once for each attribute, that attribute's tag exchanged for another one, drawn evenly."""
        membership = self.membership()
        others = membership & (bags[:, None, :] == 0)
        drawn = torch.where(others, torch.rand(others.shape, generator=generator), -1.0).argmax(dim=2)
        kept = bags[:, None, :] * ~membership
        return kept + torch.nn.functional.one_hot(drawn, len(self.tags))


def vocabulary_of(attributes: Sequence[Sequence[str]]) -> TagVocabulary:
    """A vocabulary from any sequences of tags, one for each attribute with two tags or more."""
    short = [list(attribute) for attribute in attributes if len(attribute) < 2]
    if short:
        raise ValueError(f"attributes {short} have fewer than two tags; nothing can be told apart by them")
    return TagVocabulary(tuple(tuple(attribute) for attribute in attributes))
