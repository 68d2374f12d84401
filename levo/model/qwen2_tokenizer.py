"""Reads a folder in the format of Qwen2's tokenizer: byte-level BPE with special tokens.

`transformers` reads it to the same ids, but takes seconds to import, which every sampler and trainer would wait for.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

VOCABULARY_FILE, MERGES_FILE, CONFIG_FILE = "vocab.json", "merges.txt", "tokenizer_config.json"

# Qwen2's pieces, within which bytes are merged: contractions, words with a sign or space before them, single digits,
# signs, line ends, spaces.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TokenizerFolderError(ValueError):
    """A folder that holds no tokenizer of Qwen2's format."""


def read_tokenizer(folder: Path, tags: Sequence[str] = ()) -> Tokenizer:
    """The tokenizer of a folder, with tags added after its own tokens, each one token wherever it stands.

    Raises `TokenizerFolderError` naming a file that is missing or a special token whose id is not the one it gives.
    """
    missing = [name for name in (VOCABULARY_FILE, MERGES_FILE, CONFIG_FILE) if not (folder / name).is_file()]
    if missing:
        raise TokenizerFolderError(f"{folder} is no Qwen2 tokenizer folder: {', '.join(missing)} missing")
    config = json.loads((folder / CONFIG_FILE).read_text())
    tokenizer = Tokenizer(BPE.from_file(str(folder / VOCABULARY_FILE), str(folder / MERGES_FILE)))
    tokenizer.normalizer = normalizers.NFC()
    bytes_of_pieces = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")), use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"), bytes_of_pieces]
    )
    tokenizer.decoder = decoders.ByteLevel()
    declared = sorted((int(index), token) for index, token in config.get("added_tokens_decoder", {}).items())
    for index, token in declared:
        tokenizer.add_tokens([AddedToken(**token)])
        if tokenizer.token_to_id(token["content"]) != index:
            raise TokenizerFolderError(
                f"{folder / CONFIG_FILE} gives {token['content']!r} the id {index}; its place among the folder's "
                f"tokens is {tokenizer.token_to_id(token['content'])}"
            )
    tokenizer.add_special_tokens(list(tags))
    return tokenizer
