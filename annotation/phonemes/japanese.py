"""Phonemes of Japanese, by Open JTalk through `pyopenjtalk-plus` (MIT; its dictionary comes with it)."""

from collections.abc import Iterator, Sequence

_PAUSES = frozenset({"pau", "sil", ""})
_MORA_ENDS = frozenset({"a", "i", "u", "e", "o", "N", "cl"})
_MAX_SIGNS = 400


def japanese_phonemes(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Each word's phonemes in Open JTalk's notation; devoiced vowels count as the vowels they are.

    Words are read together, as they were written, since recognisers tear words apart and a sign is read by its
    neighbours; a reading that covers several words is shared out mora by mora.
    """
    return [phonemes for group in _groups(words) for phonemes in _read(group)]


def _groups(words: Sequence[str]) -> Iterator[list[str]]:
    """Words in groups that Open JTalk, which bounds a text's length, can read at once."""
    group: list[str] = []
    for word in words:
        if group and sum(map(len, group)) + len(word) > _MAX_SIGNS:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _read(words: Sequence[str]) -> list[tuple[str, ...]]:
    moras, places = _moras("".join(words)), _places("".join(words))
    if len(moras) != len(places):
        # Something was read otherwise than it is written; alone, each word has a reading of its own.
        return [tuple(name for mora in _moras(word) for name in mora) for word in words]
    read, start = [], 0
    for word in words:
        end = start + len(word)
        own = [mora for mora, place in zip(moras, places, strict=True) if start <= place < end]
        read.append(tuple(name for mora in own for name in mora))
        start = end
    return read


def _moras(text: str) -> list[list[str]]:
    """A text's phonemes, a mora at a time."""
    import pyopenjtalk

    moras: list[list[str]] = [[]]
    for name in pyopenjtalk.g2p(text).split():
        if name in _PAUSES:
            continue
        moras[-1].append(name.lower() if name in "AEIOU" else name)
        if moras[-1][-1] in _MORA_ENDS:
            moras.append([])
    return [mora for mora in moras if mora]


def _places(text: str) -> list[int]:
    """The sign of the text that each mora is read from, as far as words of the dictionary tell."""
    import pyopenjtalk

    places: list[int] = []
    start = 0
    for feature in pyopenjtalk.run_frontend(text):
        length, num_moras = len(feature["string"]), int(feature["mora_size"])
        places += [start + length * mora // num_moras for mora in range(num_moras)]
        start += length
    return places if start == len(text) else []
