"""Codes that the release's own tools make: training codes in `.npy` files, and its library of audio prompts."""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from levo.release.errors import ReleaseError
from levo.song.arrays import Array
from levo.song.tokens import NUM_STREAMS, TokenGrid

_CHINESE_SHARE = 0.2
_CHINESE, _ENGLISH = "zh", "en"


def read_codes(path: Path, code_size: int, frame_rate_hz: int = 25) -> TokenGrid:
    """A song's codes from a `.npy` of integers [3, T] or [1, 3, T]: mixed, vocal, accompaniment.

    Nothing is unpickled. Raises `ReleaseError` for another shape, and for a code outside 0 to `code_size` - 1.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReleaseError(f"{path} is no .npy file of integers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise ReleaseError(f"{path} is an archive of arrays; expected one array (.npy)")
    return TokenGrid(_checked(array, str(path), code_size), frame_rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class AutoPrompts:
    """The release's prompt library: for each style and language, codes of short passages."""

    by_style: Mapping[str, Mapping[str, Sequence[TokenGrid]]]

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that may be asked for."""
        return tuple(self.by_style)

    def draw(self, style: str, lyrics: str | None, seed: int) -> TokenGrid:
        """One passage of a style in the language of the lyrics, by the seed; another language's where it has none.

        Raises `ReleaseError` for a style that the library lacks.
        """
        if style not in self.by_style:
            raise ReleaseError(f"no auto prompt of style {style!r}; expected one of {', '.join(self.styles)}")
        languages = self.by_style[style]
        passages = languages.get(language_of(lyrics)) or [one for some in languages.values() for one in some]
        return passages[int(np.random.default_rng(seed).integers(len(passages)))]


def read_auto_prompts(path: Path, code_size: int, frame_rate_hz: int = 25) -> AutoPrompts:
    """The library's file, `{style: {language: [codes [1, 3, T], ...]}}`, of which only tensors are unpickled.

    Raises `ReleaseError` that names the style and place of what is no passage.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        raise ReleaseError(f"{path} is no library of prompts: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict) or not content:
        raise ReleaseError(f"{path} holds {type(content).__name__}; expected passages by style and language")
    library: dict[str, dict[str, list[TokenGrid]]] = {}
    for style, languages in content.items():
        if not isinstance(languages, dict) or not any(isinstance(one, list) and one for one in languages.values()):
            raise ReleaseError(f"{path}: style {style!r} has no passages by language")
        library[str(style)] = {
            str(language): [
                TokenGrid(_checked(_array(one), f"{path}: {style}, {language}, {place}", code_size), frame_rate_hz)
                for place, one in enumerate(passages)
            ]
            for language, passages in languages.items()
        }
    return AutoPrompts(library)


def language_of(lyrics: str | None) -> str:
    """`zh` where at least a fifth of the characters are Chinese, else `en`, as the release tells them apart."""
    text = lyrics or ""
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in text)
    return _CHINESE if text and chinese / len(text) >= _CHINESE_SHARE else _ENGLISH


def _array(value: Any) -> Array:
    return value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _checked(array: Array, source: str, code_size: int) -> Array:
    if array.shape[:-1] not in ((NUM_STREAMS,), (1, NUM_STREAMS)) or not array.size:
        raise ReleaseError(f"{source} has shape {list(array.shape)}; expected [1, 3, frames] or [3, frames]")
    codes = array.reshape(NUM_STREAMS, -1)
    if not np.issubdtype(codes.dtype, np.integer):
        raise ReleaseError(f"{source} holds {codes.dtype}; expected integers")
    if int(codes.min()) < 0 or int(codes.max()) >= code_size:
        raise ReleaseError(f"{source} has codes from {codes.min()} to {codes.max()}; expected 0 to {code_size - 1}")
    return np.ascontiguousarray(codes, dtype=np.int32)
