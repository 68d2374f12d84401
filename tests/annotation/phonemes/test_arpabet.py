"""Other languages in English sounds, and every sound of theirs has one."""
# ruff: noqa: RUF001

import pytest

from annotation.phonemes.arpabet import nearest_english
from annotation.phonemes.english import cmu_pronunciations
from annotation.phonemes.languages import LANGUAGES, phonemes_of, words_of

LINES = {
    "es": "la tristeza es muy extraña, un hueco dentro de otro hueco; guitarra, llave, cielo y jueves, rey, pingüino",
    "fr": "un bon vin blanc, les yeux, la nuit, une feuille, montagne, garçon, peur, deux, oui, l'œuf, rouge, chanson",
    "de": "der Mond scheint über schöne Häuser, ich möchte nach Hause, Pferd, zwei, Deutsch, Genie, Bäume, Vögel, fünf",
    "ja": "今日は赤い月を見よう、きゃべつ、ぎゅうにゅう、ちゃんと、ひょっと、びゃくや、ぴょん、りゅう、ふたつ、ティー",
    "zh": "红月亮银行佛儿花穷学云女窗鸭鞋腰游烟音央英熊窝怀为弯文王翁字词四之吃是日乐",
}


def english(text: str, language: str) -> list[str]:
    phonemes = phonemes_of(words_of(text, language), language)
    return [" ".join(nearest_english(word, language)) for word in phonemes]


@pytest.mark.parametrize(
    ("language", "library", "text", "expected"),
    [
        ("es", "espeakng_loader", "luna roja", ["L UW N AA", "R OW HH AA"]),
        ("fr", "espeakng_loader", "bon vin", ["B AO N", "V EH N"]),
        ("de", "espeakng_loader", "schöne häuser", ["SH ER N AH", "HH OY Z ER"]),
        ("zh", "pypinyin", "红月", ["HH UH NG", "Y EH"]),
        ("ja", "pyopenjtalk", "きょう", ["K Y OW OW"]),
        ("en", "pocketsphinx", "red moon", ["R EH D", "M UW N"]),
    ],
)
def test_words_sound_as_english_would_say_them(language: str, library: str, text: str, expected: list[str]) -> None:
    pytest.importorskip(library)
    assert english(text, language) == expected


@pytest.mark.parametrize(
    ("language", "library"),
    [
        ("es", "espeakng_loader"),
        ("fr", "espeakng_loader"),
        ("de", "espeakng_loader"),
        ("zh", "pypinyin"),
        ("ja", "pyopenjtalk"),
    ],
)
def test_every_phoneme_of_many_words_has_a_sound_that_the_dictionary_knows(language: str, library: str) -> None:
    pytest.importorskip(library)
    pytest.importorskip("pocketsphinx")
    english_sounds = {phone for ways in list(cmu_pronunciations().values())[::50] for phone in ways[0].split()}
    names = {name for word in phonemes_of(words_of(LINES[language], language), language) for name in word}
    assert len(names) > 20
    for name in names - {"cl"}:
        phones = nearest_english([name], language)
        assert phones, f"{name!r} of {language} has no English sound"
        assert set(phones) <= english_sounds


def test_marks_that_no_table_has_are_passed_over() -> None:
    assert nearest_english(["a\u02d0", "ʔ", "e\u02d0"], "de") == ("AA", "EY")
    assert nearest_english(["ɑ\u0303", "ç"], "fr") == ("AA", "N", "HH")
    assert nearest_english(["cl"], "ja") == ()
    assert {"en", "es", "fr", "de", "ja", "zh"} == set(LANGUAGES)
    with pytest.raises(ValueError, match="no English sounds for language 'xx'; expected one of en, zh, ja, es, fr, de"):
        nearest_english(["a"], "xx")
