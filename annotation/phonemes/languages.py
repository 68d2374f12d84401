"""Text of a known language to words, and words to phonemes."""

import unicodedata
from collections.abc import Callable, Sequence

from annotation.phonemes.chinese import chinese_phonemes
from annotation.phonemes.english import english_phonemes
from annotation.phonemes.espeak import espeak_phonemes
from annotation.phonemes.japanese import japanese_phonemes

_DIGITS = {
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "zh": list("零一二三四五六七八九"),
}
_APOSTROPHES = {"’": "'", "‘": "'", "ʼ": "'"}  # noqa: RUF001


def _english(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [english_phonemes(word) for word in words]


def _by_espeak(language: str) -> Callable[[Sequence[str]], list[tuple[str, ...]]]:
    return lambda words: espeak_phonemes(words, language)


_PHONEMES: dict[str, Callable[[Sequence[str]], list[tuple[str, ...]]]] = {
    "en": _english,
    "zh": chinese_phonemes,
    "ja": japanese_phonemes,
    **{language: _by_espeak(language) for language in ("es", "fr", "de")},
}
LANGUAGES = tuple(sorted(_PHONEMES))


def words_of(text: str, language: str) -> tuple[str, ...]:
    """Words as they are compared: NFKC, lower case, no punctuation but apostrophes within a word.

    Chinese gives a word a character. Digits are read one by one in English and Chinese; elsewhere they stay, and the
    language's own phonemiser reads them.
    """
    check_language(language)
    plain = unicodedata.normalize("NFKC", text).lower()
    plain = "".join(_APOSTROPHES.get(letter, letter) for letter in plain)
    if language in _DIGITS:
        plain = "".join(f" {_DIGITS[language][int(sign)]} " if sign in "0123456789" else sign for sign in plain)
    kept = "".join(sign if _is_spoken(sign) else " " for sign in plain)
    if language == "zh":
        kept = "".join(f" {sign} " if _is_han(sign) else sign for sign in kept)
    return tuple(word for part in kept.split() if (word := part.strip("'")))


def phonemes_of(words: Sequence[str], language: str) -> list[tuple[str, ...]]:
    """Each word's phonemes in the notation of its language's phonemiser (ARPAbet, pinyin, Open JTalk's, IPA).

    Raises `ValueError` for a language that is not known, `ModuleNotFoundError` where its phonemiser is not installed.
    """
    check_language(language)
    return _PHONEMES[language](words) if words else []


def check_language(language: str) -> None:
    """Raise `ValueError` for a language that has no phonemiser here."""
    if language not in _PHONEMES:
        raise ValueError(f"no phonemes for language {language!r}; expected one of {', '.join(LANGUAGES)}")


def _is_spoken(sign: str) -> bool:
    return sign == "'" or unicodedata.category(sign)[0] in "LMN"


def _is_han(sign: str) -> bool:
    return "\u4e00" <= sign <= "\u9fff" or "\u3400" <= sign <= "\u4dbf"
