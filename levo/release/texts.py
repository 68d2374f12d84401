"""Descriptions as the released models were trained to read them."""

from levo.release.layout import TextRules
from levo.song.description import DROPPED_DESCRIPTION, PURE_MUSIC_TOKEN, MusicalityTier


def released_description(text: str | None, rules: TextRules, *, is_pure_music: bool = False) -> str | None:
    """A user's description in lower case, behind the tags that the second release puts before it.

    A text that holds a tag of its own is taken as it is. The released code gives a bare full stop for pure music
    without a description, by a slip; here it has the tags.
    """
    if text is not None and "[" in text:
        return text
    plain = (text or "").strip().lower()
    if rules == "v1":
        return plain or None
    tags = [MusicalityTier.VERY_HIGH.token, *([PURE_MUSIC_TOKEN] if is_pure_music else [])]
    return ", ".join([*tags, plain or DROPPED_DESCRIPTION])
