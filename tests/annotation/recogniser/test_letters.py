"""Words in the letters that a model knows."""

import json
from pathlib import Path

import pytest

from annotation.recogniser.letters import columns_of, spelled

ENGLISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
GERMAN = frozenset("abcdefghijklmnopqrstuvwxyzäöü")


@pytest.mark.parametrize(
    ("word", "letters", "expected"),
    [
        ("don't", ENGLISH, "DON'T"),
        ("Café", ENGLISH, "CAFE"),
        ("Größe", GERMAN, "größe".replace("ß", "")),
        ("grösse", GERMAN, "grösse"),
        ("gro\u0308sse", GERMAN, "grösse"),
        ("straße", ENGLISH, "STRASSE"),
        ("24h", ENGLISH, "H"),
        ("月", ENGLISH, ""),
        ("月", frozenset("月"), "月"),
    ],
)
def test_letters_are_taken_as_the_model_writes_them(word: str, letters: frozenset[str], expected: str) -> None:
    assert "".join(spelled(word, letters)) == expected
    assert all(letter in letters for letter in spelled(word, letters))


def test_columns_without_a_name_are_no_letters(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"|": 1, "é": 3, "<pad>": 0}))
    assert columns_of(path, 5) == ("<pad>", "|", "<2>", "é", "<4>")
    path.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        columns_of(path, 5)
    path.write_text(json.dumps({"a": -1}))
    with pytest.raises(ValueError, match=r"columns \{'a': -1\}; the model has 5"):
        columns_of(path, 5)
