"""The letters that a CTC model writes: its `vocab.json`, and words spelled with it."""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path


def columns_of(path: Path, num_columns: int) -> tuple[str, ...]:
    """The name of each of a model's columns; one that the vocabulary does not name has a name that is no letter.

    Raises `ValueError` where the file does not give each symbol its column.
    """
    try:
        vocabulary: Mapping[str, int] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(vocabulary, dict) or not all(type(column) is int for column in vocabulary.values()):
        raise ValueError(f"{path} does not give each symbol its column; expected the vocabulary of one language")
    outside = {name: column for name, column in vocabulary.items() if not 0 <= column < num_columns}
    if outside:
        raise ValueError(f"{path} gives columns {outside}; the model has {num_columns}")
    names = {column: name for name, column in vocabulary.items()}
    return tuple(names.get(column, f"<{column}>") for column in range(num_columns))


def spelled(word: str, letters: frozenset[str]) -> tuple[str, ...]:
    """A word's letters as far as they are known: as written, else in the other case, else without their accents."""
    return tuple(_spelled(unicodedata.normalize("NFC", word), letters))


def _spelled(word: str, letters: frozenset[str]) -> Iterator[str]:
    for letter in word:
        plain = unicodedata.normalize("NFD", letter)[0]
        ways = (letter, letter.lower(), letter.upper(), plain, plain.lower(), plain.upper())
        yield from next((way for way in ways if letters.issuperset(way)), "")
