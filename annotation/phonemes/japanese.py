"""Phonemes of Japanese, by Open JTalk through `pyopenjtalk-plus` (MIT; its dictionary comes with it)."""

_NO_PHONEMES = frozenset({"pau", "sil", ""})


def japanese_phonemes(word: str) -> tuple[str, ...]:
    """Phonemes in Open JTalk's notation; devoiced vowels count as the vowels they are."""
    import pyopenjtalk

    found = str(pyopenjtalk.g2p(word)).split()
    return tuple(name.lower() if name in "AEIOU" else name for name in found if name not in _NO_PHONEMES)
