"""Recipes build whole configs, and those of the released shapes have the released models' towers."""

import pytest

from jobs.recipes.loop import RECIPES, recipe_named
from levo.model.config import LeLMConfig, TextVocabulary, base_config, demo_config, large_config
from levo.model.construction import empty_lelm

VOCABULARY = TextVocabulary(lyrics_size=60, description_size=50, padding_id=40, start_id=41, first_structure_id=45)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_named_as_it_is_called_and_its_songs_fit_its_model(name: str) -> None:
    recipe = recipe_named(name, 3)
    assert (recipe.recipe, recipe.seed) == (name, 3)
    config = recipe.model.over(demo_config(VOCABULARY))
    for length in recipe.sampling.length_classes:
        assert length.max_frames <= config.max_frames
        assert length.max_prefix <= config.prefix_length


@pytest.mark.parametrize(("name", "released"), [("base", base_config()), ("large", large_config())])
def test_the_released_shapes_are_the_released_models_but_for_the_corpus_vocabulary(
    name: str, released: LeLMConfig
) -> None:
    config = recipe_named(name, 0).model.over(demo_config(VOCABULARY))
    ours, theirs = empty_lelm(config).state_dict(), empty_lelm(released).state_dict()
    towers = [key for key in theirs if ".layers." in key or key.startswith("mlp.")]
    assert {key: ours[key].shape for key in towers} == {key: theirs[key].shape for key in towers}
    same = ("delays", "max_positions", "rope_base", "decoder_rope_base", "max_lyrics_tokens", "max_prompt_frames")
    assert [getattr(config, key) for key in same] == [getattr(released, key) for key in same]


def test_a_recipe_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"no recipe 'huge'; expected one of .*'base', 'demo', 'large', 'tiny'"):
        recipe_named("huge", 0)
