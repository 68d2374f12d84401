"""Phonemes of Spanish, French and German words by espeak-ng, as IPA (an extra: espeak-ng is GPL)."""

import ctypes
import re
from collections.abc import Sequence

from annotation.phonemes.espeak_library import EspeakError, espeak_library

VOICES = {"es": "es", "fr": "fr", "de": "de"}
_RETRIEVAL_OUTPUT = 1
_CHARS_UTF8 = 1
_IPA = 0x02
_SEPARATOR = "_"
_NO_PHONEME = re.compile(r"\([a-z-]+\)|[ˈˌ\s-]")


def espeak_phonemes(words: Sequence[str], language: str) -> list[tuple[str, ...]]:
    """Each word's phonemes, without marks of stress; a word that espeak-ng leaves out has none.

    Raises `ModuleNotFoundError` where the library is missing.
    """
    with espeak_library(_RETRIEVAL_OUTPUT) as (library, _):
        voice = VOICES[language]
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"espeak-ng has no voice {voice!r}")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        return [_phonemes(library, word) for word in words]


def _phonemes(library: ctypes.CDLL, word: str) -> tuple[str, ...]:
    text = ctypes.c_char_p(word.encode())
    parts: list[str] = []
    # The pointer is moved on, to null at the end; each call takes one clause.
    while text.value:
        found = library.espeak_TextToPhonemes(ctypes.byref(text), _CHARS_UTF8, (ord(_SEPARATOR) << 8) | _IPA)
        parts += _NO_PHONEME.sub(_SEPARATOR, found.decode()).split(_SEPARATOR)
    return tuple(part for part in parts if part)
