"""Phonemes of English words: the CMU dictionary that PocketSphinx carries (BSD), and rules of spelling for the rest."""

from functools import cache
from pathlib import Path

# From the longest spelling to the shortest; what a letter most often stands for in a word that no dictionary has.
_SPELLINGS = {
    "tion": "SH AH N", "sion": "ZH AH N", "ough": "AO", "augh": "AO", "eigh": "EY",
    "tch": "CH", "igh": "AY", "sch": "S K", "dge": "JH", "que": "K",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "ng": "NG", "qu": "K W", "kn": "N", "wr": "R",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "ai": "EY", "ay": "EY", "oa": "OW", "oi": "OY",
    "oy": "OY", "au": "AO", "aw": "AO", "ie": "IY", "ei": "EY", "ey": "IY", "ew": "UW", "ue": "UW", "ar": "AA R",
    "or": "AO R", "er": "ER", "ir": "ER", "ur": "ER",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
_VOWELS = frozenset("aeiouy")
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_LONGEST = max(map(len, _SPELLINGS))


@cache
def cmu_pronunciations() -> dict[str, tuple[str, ...]]:
    """Each word's pronunciations in the dictionary, phones separated by spaces and without stress."""
    import pocketsphinx

    ways: dict[str, tuple[str, ...]] = {}
    for line in Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines():
        word, phones = line.split(maxsplit=1)
        name = word.split("(")[0]
        ways[name] = (*ways.get(name, ()), phones)
    return ways


def english_phonemes(word: str) -> tuple[str, ...]:
    """ARPAbet without stress: the dictionary's first pronunciation, else what the spelling suggests."""
    known = cmu_pronunciations().get(word) or cmu_pronunciations().get(word.strip("'"))
    return tuple(known[0].split()) if known else spelled_phonemes(word)


def spelled_phonemes(word: str) -> tuple[str, ...]:
    """Phonemes by spelling alone: the longest known group of letters first; a last silent e lengthens its vowel."""
    letters = "".join(letter for letter in word if letter.isascii() and letter.isalpha())
    is_silent_e = len(letters) > 3 and letters[-1] == "e" and letters[-2] not in _VOWELS and letters[-3] in _LONG
    body = letters[:-1] if is_silent_e else letters
    phonemes: list[str] = []
    place = 0
    while place < len(body):
        if is_silent_e and place == len(letters) - 3:
            phonemes.append(_LONG[body[place]])
            place += 1
            continue
        length = next(size for size in range(_LONGEST, 0, -1) if body[place : place + size] in _SPELLINGS)
        group = body[place : place + length]
        is_doubled = length == 1 and place > 0 and body[place - 1] == group and group not in _VOWELS
        phonemes += [] if is_doubled else _SPELLINGS[group].split()
        place += length
    return tuple(phonemes)
