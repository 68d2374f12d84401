"""Kinds of prompts: language by script, genre by tag, structure by sections; weakness by kind."""

import numpy as np
import pytest

from levo.song.prompt import PromptSet
from pipelines.loop.records import PromptRow
from pipelines.refresh.prompt_kinds import kind_of, weakness_of


def prompt(prompt_id: str, lyrics: str = "[verse] moon.", tags: tuple[str, ...] = ("pop",)) -> PromptRow:
    return PromptRow(prompt_id, PromptSet.PAIR, False, lyrics, tags, 100, "", np.zeros((3, 4), np.int32))


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("moon over the bay", "latin"),
        ("月亮代表我的心", "zh"),
        ("月が綺麗ですね", "ja"),
        ("луна над морем", "cyrillic"),
        ("달빛", "ko"),
    ],
)
def test_the_script_tells_the_language(line: str, language: str) -> None:
    assert kind_of(prompt("one", f"[verse] {line}.")).language == language


@pytest.mark.parametrize(
    ("tags", "genre"),
    [
        (("female", "jazz", "piano"), "jazz"),
        (("male", "slow", "guitar"), "guitar"),
        (("female", "dark"), "unknown"),
        ((), "unknown"),
    ],
)
def test_the_genre_is_a_tag_of_its_list_or_else_the_band(tags: tuple[str, ...], genre: str) -> None:
    assert kind_of(prompt("one", tags=tags)).genre == genre


def test_the_structure_is_the_sections_in_order() -> None:
    assert (
        kind_of(prompt("one", "[intro-short] ; [verse] moon. ; [chorus] sun.")).structure == "intro-short-verse-chorus"
    )


def test_a_prompt_is_as_weak_as_the_songs_of_its_kind_were() -> None:
    pool = [prompt("a"), prompt("b"), prompt("c", tags=("rock",)), prompt("d", tags=("folk",))]
    weakness = weakness_of(pool, [{"a": 0.2, "c": 0.9}, {"a": 0.4, "unknown": 1.0}])
    assert weakness == {"a": pytest.approx(0.3), "b": pytest.approx(0.3), "c": 0.9}, "never sung: not known to be weak"
