"""Phonemes of any language as the nearest English ones, for models that know English alone: ARPAbet without stress."""
# ruff: noqa: RUF001

import unicodedata
from collections.abc import Mapping, Sequence


def _parts(name: str) -> str:
    """Letters and their marks apart."""
    return unicodedata.normalize("NFD", name)


def _table(text: str) -> dict[str, tuple[str, ...]]:
    rows = (row.split() for row in text.split(",") if row.strip())
    return {_parts(name): tuple(phones) for name, *phones in rows}


# The tilde of a nasal vowel is an N after it; marks that are in no table (length, stops of the throat) are passed over.
_IPA = _table(
    "a AA, ɑ AA, ɐ AH, æ AE, ʌ AH, ə AH, ɜ ER, ɚ ER, e EH, e\u02d0 EY, ɛ EH, i IY, ɪ IH, y UW, ʏ UH, ø ER, œ ER, o OW,"
    "ɔ AO, ɒ AA, u UW, ʊ UH, ɯ UW, aɪ AY, aʊ AW, oɪ OY, ɔɪ OY, ɔø OY, ɔʏ OY, eɪ EY, oʊ OW,"
    "p P, b B, t T, d D, k K, g G, ɡ G, f F, v V, s S, z Z, ʃ SH, ʒ ZH, θ TH, ð DH, h HH, x HH, χ HH, ç HH, ɣ G, β B,"
    "tʃ CH, dʒ JH, r R, ɾ R, ɹ R, ʁ R, ʀ R, l L, ɫ L, ʎ Y, ʝ Y, j Y, w W, ɥ W, m M, ɱ M, n N, ɲ N, ŋ NG, \u0303 N"
)
_PINYIN = _table(
    "b B, p P, m M, f F, d D, t T, n N, l L, g G, k K, h HH, j JH, q CH, x SH, zh JH, ch CH, sh SH, r R, z D Z, c T S,"
    "s S, a AA, o AO, e AH, ê EH, ai AY, ei EY, ao AW, ou OW, an AA N, en AH N, ang AA NG, eng AH NG, er AA R,"
    "ong UH NG, i IY, ia Y AA, ie Y EH, iao Y AW, io Y AO, iou Y OW, ian Y EH N, in IY N, iang Y AA NG, ing IY NG,"
    "iong Y UH NG, u UW, ua W AA, uo W AO, uai W AY, uei W EY, uan W AA N, uen W AH N, uang W AA NG, ueng W AH NG,"
    "v UW, ve Y EH, van Y EH N, vn IY N, ng NG"
)
_OPEN_JTALK = _table(
    "a AA, i IY, u UW, e EH, o OW, N N, k K, g G, s S, z Z, t T, d D, n N, h HH, b B, p P, m M, r R, y Y, w W, f F,"
    "v V, sh SH, ch CH, ts T S, j JH, ky K Y, gy G Y, ny N Y, hy HH Y, by B Y, py P Y, my M Y, ry R Y, ty T Y, dy D Y,"
    "kw K W, gw G W"
)
_TABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "zh": _PINYIN,
    "ja": _OPEN_JTALK,
    **dict.fromkeys(("es", "fr", "de"), _IPA),
}


def nearest_english(phonemes: Sequence[str], language: str) -> tuple[str, ...]:
    """ARPAbet for a word's phonemes in the notation of `phonemes_of` for its language.

    A phoneme that no table has is read piece by piece, the longest first; what is left has no sound here. Raises
    `ValueError` for a language without a table.
    """
    if language == "en":
        return tuple(phonemes)
    if language not in _TABLES:
        raise ValueError(f"no English sounds for language {language!r}; expected one of en, {', '.join(_TABLES)}")
    table = _TABLES[language]
    return tuple(phone for name in phonemes for phone in _read(_parts(name), table))


def _read(name: str, table: Mapping[str, tuple[str, ...]]) -> list[str]:
    phones: list[str] = []
    while name:
        length = next((size for size in range(len(name), 0, -1) if name[:size] in table), None)
        phones += table[name[:length]] if length else ()
        name = name[length or 1 :]
    return phones
