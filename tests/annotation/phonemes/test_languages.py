"""Words and phonemes of six languages; readings are those that dictionaries give."""

import pytest

from annotation.phonemes.english import cmu_pronunciations, english_phonemes, spelled_phonemes
from annotation.phonemes.languages import LANGUAGES, phonemes_of, words_of


def spoken(text: str, language: str) -> list[str]:
    return [" ".join(phonemes) for phonemes in phonemes_of(words_of(text, language), language)]


def test_english_words_are_the_dictionarys() -> None:
    pytest.importorskip("pocketsphinx")
    assert spoken("Red moon, don’t go!", "en") == ["R EH D", "M UW N", "D OW N T", "G OW"]  # noqa: RUF001
    assert spoken("24", "en") == ["T UW", "F AO R"]
    assert len(cmu_pronunciations()) > 100_000


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("blorting", "B L AO R T IH NG"),
        ("zake", "Z EY K"),
        ("frippy", "F R IH P IY"),
        ("shoomtion", "SH UW M SH AH N"),
        ("", ""),
        ("naïve", "N EY V"),
    ],
)
def test_unknown_words_are_read_by_their_spelling(word: str, phonemes: str) -> None:
    assert " ".join(spelled_phonemes(word)) == phonemes


def test_spelling_agrees_with_the_dictionary_more_often_than_not() -> None:
    pytest.importorskip("pocketsphinx")
    words = [word for word in list(cmu_pronunciations())[::97] if word.isalpha()]
    num_right = num_phonemes = 0
    for word in words:
        true, guessed = english_phonemes(word), spelled_phonemes(word)
        num_right += sum(one == other for one, other in zip(true, guessed, strict=False))
        num_phonemes += max(len(true), len(guessed))
    assert len(words) > 1000
    assert num_right / num_phonemes > 0.5


def test_chinese_characters_are_initials_and_finals_in_context() -> None:
    pytest.importorskip("pypinyin")
    assert words_of("红色\uff0c月亮3", "zh") == ("红", "色", "月", "亮", "三")
    assert spoken("红月", "zh") == ["h ong", "ve"]
    assert spoken("银行行走", "zh") == ["in", "h ang", "x ing", "z ou"]
    assert phonemes_of(["红"], "zh") == [("h", "ong")]


def test_japanese_is_read_by_its_dictionary() -> None:
    pytest.importorskip("pyopenjtalk")
    assert spoken("赤い月", "ja") == ["a k a i ts u k i"]


def test_japanese_words_are_read_by_their_neighbours_however_they_are_torn() -> None:
    """今 alone is `ima` and 日 `hi`; together they are `kyoo`, particles have sounds of their own."""
    pytest.importorskip("pyopenjtalk")
    assert phonemes_of(["今", "日", "は"], "ja") == [("ky", "o"), ("o",), ("w", "a")]
    assert phonemes_of(["ラ", "ー", "ラ"], "ja") == [("r", "a"), ("a",), ("r", "a")]
    line = "君がいた夏は遠い夢の中空に消えてった打ち上げ花火"
    whole, torn = phonemes_of([line], "ja"), phonemes_of(list(line), "ja")
    assert len(torn) == len(line)
    assert tuple(name for word in torn for name in word) == whole[0]


def test_a_whole_songs_japanese_is_read_though_a_text_may_not_be_as_long() -> None:
    pytest.importorskip("pyopenjtalk")
    words = ["赤い", "月"] * 1500
    assert phonemes_of(words, "ja") == [("a", "k", "a", "i"), ("ts", "u", "k", "i")] * 1500
    assert phonemes_of(["", "っ"], "ja") == [(), ("cl",)]


@pytest.mark.parametrize(
    ("language", "text", "phonemes"),
    [
        ("es", "luna roja", ["l u n a", "r o x a"]),
        ("fr", "la lune", ["l a", "l y n"]),
        ("de", "der Mond", ["d ɛ ɾ", "m o\u02d0 n t"]),
    ],
)
def test_other_languages_are_ipa_of_espeak(language: str, text: str, phonemes: list[str]) -> None:
    pytest.importorskip("espeakng_loader")
    assert spoken(text, language) == phonemes


def test_a_word_sounds_the_same_whatever_is_said_before() -> None:
    pytest.importorskip("espeakng_loader")
    alone = phonemes_of(["mond"], "de")[0]
    assert phonemes_of(["sonne", "mond"], "de")[1] == alone


def test_words_are_compared_without_case_width_or_punctuation() -> None:
    assert words_of("“Rock’n’Roll”… ＡＢＣ?", "de") == ("rock'n'roll", "abc")  # noqa: RUF001
    assert words_of(" — ", "fr") == ()
    assert phonemes_of([], "fr") == []


def test_a_language_without_phonemes_is_named() -> None:
    with pytest.raises(ValueError, match="no phonemes for language 'xx'; expected one of de, en, es, fr, ja, zh"):
        phonemes_of(["a"], "xx")
    with pytest.raises(ValueError, match="'xx'"):
        words_of("a", "xx")
    assert LANGUAGES == ("de", "en", "es", "fr", "ja", "zh")
