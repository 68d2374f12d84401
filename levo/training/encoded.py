"""A store's conditions as ids, encoded once per tokenizer and mapped into memory, so that no step tokenises."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int32, Int64

from levo.model.conditions import Conditions, ConditionTokens
from levo.model.config import LeLMConfig
from levo.model.store import TOKENIZER_FOLDER, load_config
from levo.model.tokenizer import ConditionEncoder
from levo.song.arrays import Array
from levo.song.digest import digest_bytes, digest_file, digest_json
from levo.song.files import staged_folder
from levo.song.tokens import TokenGrid
from levo.training.examples import ExampleStore

_CHUNK_SONGS = 1024
_LYRICS, _DESCRIPTION, _PROMPTS = "lyrics.npy", "description.npy", "audio_prompts.npy"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedConditions:
    """Every example's condition ids, in the store's order."""

    lyrics_ids: Int32[Array, "example lyric_position"]
    description_ids: Int32[Array, "example description_position"]
    prompt_codes: Int32[Array, "example stream prompt_frame"]

    def rows(self, examples: Int64[Array, " row"]) -> ConditionTokens:
        """The conditions of some examples."""
        return ConditionTokens(
            torch.from_numpy(self.lyrics_ids[examples].astype(np.int64)),
            torch.from_numpy(self.description_ids[examples].astype(np.int64)),
            torch.from_numpy(self.prompt_codes[examples].astype(np.int64)),
        )


def encoded_conditions(store: ExampleStore, model_folder: Path, cache: Path) -> EncodedConditions:
    """Read the ids from `cache`, a folder for any number of stores and tokenizers, encoding them there where missing.

    Raises `ConditionError` for a text that is too long for the model.
    """
    config = load_config(model_folder)
    folder = cache / f"{store.digest[:16]}-{_encoding_digest(model_folder / TOKENIZER_FOLDER, config)[:16]}"
    if not folder.is_dir():
        encoder = ConditionEncoder(model_folder / TOKENIZER_FOLDER, config)
        with staged_folder(folder) as staging:
            _encode(store, encoder, config, staging)
    return EncodedConditions(*(np.load(folder / name, mmap_mode="r") for name in (_LYRICS, _DESCRIPTION, _PROMPTS)))


def _encode(store: ExampleStore, encoder: ConditionEncoder, config: LeLMConfig, folder: Path) -> None:
    num_songs, num_streams = len(store), len(config.delays)
    lyrics = _created(folder / _LYRICS, (num_songs, config.max_lyrics_tokens))
    description = _created(folder / _DESCRIPTION, (num_songs, config.max_description_tokens))
    prompts = _created(folder / _PROMPTS, (num_songs, num_streams, config.max_prompt_frames))
    for start in range(0, num_songs, _CHUNK_SONGS):
        chunk = range(start, min(start + _CHUNK_SONGS, num_songs))
        tokens = encoder.encode([_conditions(store, index) for index in chunk])
        lyrics[start : chunk.stop] = tokens.lyrics_ids.numpy()
        description[start : chunk.stop] = tokens.description_ids.numpy()
        prompts[start : chunk.stop] = tokens.prompt_codes.numpy()
    for array in (lyrics, description, prompts):
        array.flush()
    (folder / "summary.json").write_text(json.dumps({"store": store.digest, "num_examples": num_songs}))


def _created(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.int32]]:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=shape)
    # The file has no blocks yet; on a full disk, to write into the map would kill the process.
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _conditions(store: ExampleStore, index: int) -> Conditions:
    song = store[index]
    prompt = None if song.audio_prompt is None else TokenGrid(song.audio_prompt)
    return Conditions(song.lyrics, song.description, prompt)


def _encoding_digest(tokenizer_folder: Path, config: LeLMConfig) -> str:
    files = sorted(path for path in tokenizer_folder.rglob("*") if path.is_file())
    return digest_bytes(digest_json(config).encode(), *(digest_file(path).encode() for path in files))
