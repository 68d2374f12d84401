"""Phonemes of Chinese characters: initials and finals of their pinyin, by `pypinyin` (MIT)."""

from collections.abc import Sequence
from typing import Any


def _one_by_one(text: str) -> Any:
    """What has no reading, sign by sign."""
    return list(text)


def chinese_phonemes(words: Sequence[str], *, tones: bool = False) -> list[tuple[str, ...]]:
    """Each word's initials and finals, read in the context of the whole row; finals carry their tone where asked.

    Characters that have no reading give nothing; Latin letters among them stay as they are.
    """
    from pypinyin import Style, lazy_pinyin

    style = Style.FINALS_TONE3 if tones else Style.FINALS
    text = "".join(words)
    initials = lazy_pinyin(text, style=Style.INITIALS, strict=True, errors=_one_by_one)
    finals = lazy_pinyin(text, style=style, strict=True, errors=_one_by_one)
    readings = [tuple(part for part in pair if part) for pair in zip(initials, finals, strict=True)]
    readings = [reading[:1] if len(reading) == 2 and reading[0] == reading[1] else reading for reading in readings]
    phonemes, place = [], 0
    for word in words:
        phonemes.append(tuple(part for reading in readings[place : place + len(word)] for part in reading))
        place += len(word)
    return phonemes
