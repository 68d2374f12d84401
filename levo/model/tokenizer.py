"""Text to ids: a Qwen2-format tokenizer folder with structure or musicality tags added, and how to build one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from levo.model.conditions import Conditions, ConditionTokens
from levo.model.config import LeLMConfig, TextVocabulary
from levo.model.qwen2_tokenizer import (
    CONFIG_FILE,
    MERGES_FILE,
    VOCABULARY_FILE,
    TokenizerFolderError,
    read_tokenizer,
)
from levo.song.description import PURE_MUSIC_TOKEN, MusicalityTier
from levo.song.files import staged_folder
from levo.song.structure import StructureTag
from levo.song.tokens import TokenGrid

PADDING_TOKEN = "<|endoftext|>"
START_TOKEN = "<|im_start|>"
END_TOKEN = "<|im_end|>"
TOKENIZER_FILES = (
    VOCABULARY_FILE,
    MERGES_FILE,
    CONFIG_FILE,
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_SPECIAL_TOKENS = (PADDING_TOKEN, START_TOKEN, END_TOKEN)
LYRICS_TAGS = tuple(tag.token for tag in StructureTag)
DESCRIPTION_TAGS = (*(tier.token for tier in MusicalityTier), PURE_MUSIC_TOKEN)


class ConditionError(ValueError):
    """Conditions that a model cannot be given."""


class ConditionEncoder:
    """Turns conditions into the ids of one model."""

    def __init__(self, folder: Path, config: LeLMConfig) -> None:
        self.config = config
        full_stop = (".",) if config.musicality_tags else ()
        self._lyrics = read_tokenizer(folder, (*LYRICS_TAGS, *full_stop))
        self._description = read_tokenizer(folder, (*DESCRIPTION_TAGS, *full_stop) if config.musicality_tags else ())
        expected = (config.lyrics_vocabulary_size, config.description_vocabulary_size)
        found = (self._lyrics.get_vocab_size(), self._description.get_vocab_size())
        if found != expected:
            raise ConditionError(
                f"tokenizer {folder} has {found[0]} lyrics and {found[1]} description tokens; "
                f"the model has {expected[0]} and {expected[1]}"
            )

    def lyrics_ids(self, text: str | None) -> list[int]:
        """The ids of one lyric, the start token first; None is the bare start token."""
        return _ids(self._lyrics, text)

    def description_ids(self, text: str | None) -> list[int]:
        """The ids of one description."""
        return _ids(self._description, text)

    def encode(self, songs: Sequence[Conditions], *, cut: bool = False) -> ConditionTokens:
        """Padded ids of a batch; what is too long is an error, or cut at its end where `cut` says so."""
        config = self.config
        lyrics = [self.lyrics_ids(song.lyrics) for song in songs]
        descriptions = [self.description_ids(song.description) for song in songs]
        return ConditionTokens(
            _padded(lyrics, "lyrics", config.max_lyrics_tokens, config.text_padding_id, cut),
            _padded(descriptions, "description", config.max_description_tokens, config.text_padding_id, cut),
            torch.stack([self._prompt_codes(song.audio_prompt) for song in songs]),
        )

    def _prompt_codes(self, prompt: TokenGrid | None) -> Int[Tensor, "stream frame"]:
        config = self.config
        codes = torch.full((len(config.delays), config.max_prompt_frames), config.special_id)
        if prompt is not None:
            given = torch.from_numpy(prompt.codes[:, : config.max_prompt_frames]).long()
            if given.numel() and (int(given.min()) < 0 or int(given.max()) > config.special_id):
                raise ConditionError(
                    f"audio prompt has codes from {int(given.min())} to {int(given.max())}; "
                    f"expected 0 to {config.code_size - 1}"
                )
            codes[:, : given.shape[1]] = given
        return codes


def build_tokenizer(words: Iterable[str], folder: Path) -> TextVocabulary:
    """Write a byte-level BPE folder in which every word, with the space before it, is one token.

    Merges are the words' bytes joined from the left, so any other text still encodes, byte by byte in the worst case.
    """
    alphabet = sorted(set(_BYTE_SYMBOLS.values()))
    merges: dict[tuple[str, str], None] = {}
    for word in sorted(set(words)):
        symbols = [_BYTE_SYMBOLS[byte] for byte in f" {word}".encode()]
        joined = symbols[0]
        for symbol in symbols[1:]:
            merges[joined, symbol] = None
            joined += symbol
    vocabulary = list(dict.fromkeys([*alphabet, *(left + right for left, right in merges)]))
    ids = {token: index for index, token in enumerate(vocabulary)}
    first_special = len(ids)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    with staged_folder(folder, replace=True) as staging:
        (staging / VOCABULARY_FILE).write_text(json.dumps(ids, ensure_ascii=False))
        (staging / MERGES_FILE).write_text("\n".join(lines) + "\n")
        (staging / CONFIG_FILE).write_text(json.dumps(_tokenizer_config(first_special), indent=1))
    return read_vocabulary(folder)


@dataclass(frozen=True, slots=True)
class BaseVocabulary:
    """A tokenizer folder's own tokens, before tags are added: how many, and the ids of padding and start."""

    size: int
    padding_id: int
    start_id: int


def base_vocabulary(folder: Path) -> BaseVocabulary:
    """The tokens that a tokenizer folder brings."""
    tokenizer = read_tokenizer(folder)
    return BaseVocabulary(
        tokenizer.get_vocab_size(), _id_of(tokenizer, PADDING_TOKEN, folder), _id_of(tokenizer, START_TOKEN, folder)
    )


def read_vocabulary(folder: Path) -> TextVocabulary:
    """Sizes and ids of a tokenizer folder."""
    lyrics = read_tokenizer(folder, (*LYRICS_TAGS, "."))
    return TextVocabulary(
        lyrics_size=lyrics.get_vocab_size(),
        description_size=read_tokenizer(folder, (*DESCRIPTION_TAGS, ".")).get_vocab_size(),
        padding_id=_id_of(lyrics, PADDING_TOKEN, folder),
        start_id=_id_of(lyrics, START_TOKEN, folder),
        first_structure_id=_id_of(lyrics, LYRICS_TAGS[0], folder),
    )


def _id_of(tokenizer: Tokenizer, token: str, folder: Path) -> int:
    index = tokenizer.token_to_id(token)
    if index is None:
        raise TokenizerFolderError(f"tokenizer {folder} has no token {token!r}; expected {', '.join(_SPECIAL_TOKENS)}")
    return int(index)


def _ids(tokenizer: Tokenizer, text: str | None) -> list[int]:
    for token in _SPECIAL_TOKENS:
        if text is not None and token in text:
            raise ConditionError(f"text contains the reserved token {token!r}: {text!r}")
    return list(tokenizer.encode(START_TOKEN + (text or "")).ids)


def _padded(
    rows: Sequence[list[int]], name: str, length: int, padding_id: int, cut: bool
) -> Int[Tensor, "row position"]:
    ids = torch.full((len(rows), length), padding_id)
    for index, row in enumerate(rows):
        if len(row) > length and not cut:
            raise ConditionError(f"{name} of song {index} has {len(row)} tokens; the model takes {length}")
        ids[index, : min(len(row), length)] = torch.tensor(row[:length])
    return ids


def _tokenizer_config(first_special: int) -> dict[str, object]:
    decoder = {
        str(first_special + index): {
            "content": token,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "single_word": False,
            "special": True,
        }
        for index, token in enumerate(_SPECIAL_TOKENS)
    }
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": decoder,
        "additional_special_tokens": [START_TOKEN, END_TOKEN],
        "eos_token": PADDING_TOKEN,
        "pad_token": PADDING_TOKEN,
        "unk_token": None,
        "bos_token": None,
        "errors": "replace",
        "model_max_length": 32768,
    }


def _byte_symbols() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: itself where printable, else the next code point from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(others)}


_BYTE_SYMBOLS = _byte_symbols()
