"""A release's config: references are followed, and nothing in it is run."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.model.tokenizer import LYRICS_TAGS
from levo.release.config_file import arithmetic, read_config, value_at
from levo.release.errors import ReleaseError


def config(folder: Path, text: str) -> dict[str, Any]:
    (folder / "config.yaml").write_text(text)
    return read_config(folder)


def test_the_released_expressions_have_their_values(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        "prompt_len: 10\nrate: 25\na: [1, 2]\nb: [3]\n"
        "both: ${concat:${a},${b}}\nname: run-${get_fname:}-${rate}\n"
        "tags: ${load_yaml:conf/vocab.yaml}\n"
        "deep: {max_len: '${eval:${prompt_len}*${rate}+2}', same: '${deep.max_len}'}\n",
    )
    assert found["deep"] == {"max_len": 252, "same": 252}
    assert found["both"] == [1, 2, 3]
    assert found["name"] == "run-default-25"
    assert found["tags"] == list(LYRICS_TAGS)


def test_a_list_file_inside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "tags.yaml").write_text("['[verse]', '[chorus]']")
    assert config(tmp_path, "tags: ${load_yaml:tags.yaml}")["tags"] == ["[verse]", "[chorus]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ${eval:__import__('os').getcwd()}", "a evaluates"),
        ("a: ${eval:2**99999999}", "a evaluates"),
        ("a: ${eval:1/0}", "a evaluates"),
        ("a: ${load_yaml:/etc/passwd}", "is no file inside"),
        ("a: ${load_yaml:../config.yaml}", "is no file inside"),
        ("a: ${system:ls}", "calls 'system'; expected eval"),
        ("a: ${nowhere.at.all}", "refers to nowhere.at.all, which is not there"),
        ("a: ${b}\nb: ${a}", "refers to itself"),
        ("a: {b: '${a}'}", "refers to itself"),
        ("a: ${b", "does not close it"),
        ("- a list", "holds list; expected keys"),
        ("a: !!python/object/apply:os.getcwd []", "no plain YAML"),
        ("a: [", "no plain YAML"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message.replace("[", "\\[")):
        config(tmp_path, text)


def test_a_missing_key_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"holds no config\.yaml"):
        read_config(tmp_path)
    with pytest.raises(ReleaseError, match=r"lacks lm\.dim"):
        value_at({"lm": {}}, "lm.dim", int)
    with pytest.raises(ReleaseError, match=r"lm\.dim is '64'; expected int"):
        value_at({"lm": {"dim": "64"}}, "lm.dim", int)


@given(st.integers(-99, 99), st.integers(1, 99), st.integers(-99, 99))
def test_arithmetic_is_arithmetic(first: int, second: int, third: int) -> None:
    text = f"({first})*{second}+int({third}/{second})-{second}%7"
    assert arithmetic(text, "a") == first * second + int(third / second) - second % 7


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        value = arithmetic(text, "a")
    except ReleaseError:
        return
    assert isinstance(value, int | float)
