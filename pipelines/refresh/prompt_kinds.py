"""What kind of song a prompt asks for: its language, its genre and its structure, told from lyrics and tags."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from annotation.tags.tag_lists import GENRE, INSTRUMENT
from levo.song.lyrics import parse_lyrics
from pipelines.loop.records import PromptRow
from pipelines.refresh.prompt_choice import PromptKind

_SCRIPTS = (("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("HANGUL", "ko"), ("CJK", "zh"), ("CYRILLIC", "cyrillic"))


def kind_of(prompt: PromptRow) -> PromptKind:
    """The kind by which coverage is counted.

    The language is as far as its script tells (`latin` for all that are written so). The genre is the first tag of the
    genre list, else the first instrument: a description without a genre names the band at least.
    """
    lyrics = parse_lyrics(prompt.lyrics)
    structure = "-".join(section.tag.value for section in lyrics.sections)
    return PromptKind(prompt.prompt_id, _language(lyrics.words), _genre(prompt.tags), structure)


def weakness_of(prompts: Sequence[PromptRow], earlier: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """How weak the champion is at each prompt: the mean error of songs of the prompt's kind in earlier nights.

    `earlier` has, by night, each sung prompt's mean error, larger being worse. Prompts of a kind that was never sung
    are not known to be weak.
    """
    kinds = {prompt.prompt_id: kind_of(prompt).kind for prompt in prompts}
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for night in earlier:
        for prompt_id, error in night.items():
            if prompt_id in kinds:
                errors[kinds[prompt_id]].append(error)
    means = {kind: fmean(found) for kind, found in errors.items()}
    return {prompt_id: means[kind] for prompt_id, kind in kinds.items() if kind in means}


def _language(words: Sequence[str]) -> str:
    names = {unicodedata.name(sign, "").split()[0] for word in words for sign in word if sign.isalpha()}
    # Japanese is told from Chinese by its own letters, wherever they stand.
    return next((language for script, language in _SCRIPTS if any(script in name for name in names)), "latin")


def _genre(tags: Sequence[str]) -> str:
    for known in (GENRE.tags, (*INSTRUMENT.tags, "guitar")):
        found = next((tag for tag in tags if tag in known), None)
        if found is not None:
            return found
    return "unknown"
