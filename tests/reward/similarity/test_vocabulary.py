import pytest
import torch

from levo.song.description import Description
from reward.similarity.vocabulary import vocabulary_of

VOCABULARY = vocabulary_of((("male", "female"), ("slow", "medium", "fast")))


def test_a_bag_marks_the_known_tags_only() -> None:
    assert VOCABULARY.bag(Description(("fast", "male", "dreamy"))).tolist() == [1, 0, 0, 0, 1]


def test_each_swapped_bag_differs_in_exactly_one_attribute_and_all_alternatives_occur() -> None:
    bags = torch.stack([VOCABULARY.bag(Description(("female", "medium")))] * 50)
    swapped = VOCABULARY.swapped(bags, torch.Generator().manual_seed(0))
    assert swapped.shape == (50, 2, 5)
    assert (swapped[:, 0] == torch.tensor([1.0, 0, 0, 1, 0])).all()
    assert {tuple(row) for row in swapped[:, 1].tolist()} == {(0, 1, 1, 0, 0), (0, 1, 0, 0, 1)}


def test_a_doubled_tag_or_an_attribute_of_one_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="not all different"):
        vocabulary_of((("male", "female"), ("male", "fast")))
    with pytest.raises(ValueError, match="fewer than two tags"):
        vocabulary_of((("male",),))
