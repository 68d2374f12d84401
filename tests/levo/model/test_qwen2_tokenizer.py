"""A Qwen2 tokenizer folder read directly, against `transformers`' reading of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import Qwen2Tokenizer

from levo.model.qwen2_tokenizer import CONFIG_FILE, TokenizerFolderError, read_tokenizer
from levo.model.tokenizer import DESCRIPTION_TAGS, LYRICS_TAGS, base_vocabulary, build_tokenizer

RECORDED = Path(__file__).parents[2] / "golden" / "parity" / "lelm_v2" / "tokenizer"
TAGS = ((*LYRICS_TAGS, "."), (*DESCRIPTION_TAGS, "."), ())
PIECES = (
    "[verse",
    " sun",
    "été",
    "e\u0301",
    "'LL",
    "\u00a0",
    "\u2028",
    "ﬁ",
    "<|im_start|>",
    "<|endoftext|>",
    "a.b",
    "\r\n",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(("sun", "moon", "été", "don't"), folder)
    return folder


@pytest.fixture(scope="module", params=["built", "recorded"])
def folder(request: pytest.FixtureRequest, built: Path) -> Path:
    return built if request.param == "built" else RECORDED


@pytest.fixture(scope="module", params=TAGS, ids=["lyrics", "description", "bare"])
def both(request: pytest.FixtureRequest, folder: Path) -> tuple[Tokenizer, Qwen2Tokenizer]:
    theirs = Qwen2Tokenizer.from_pretrained(folder)
    theirs.add_tokens(list(request.param), special_tokens=True)
    return read_tokenizer(folder, request.param), theirs


def test_the_vocabulary_is_that_of_transformers(both: tuple[Tokenizer, Qwen2Tokenizer]) -> None:
    ours, theirs = both
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_vocab_size() == len(theirs)


@given(st.lists(st.one_of(st.sampled_from((*PIECES, *TAGS[0], *TAGS[1])), st.text(max_size=4)), max_size=12))
def test_any_text_has_the_ids_of_transformers(both: tuple[Tokenizer, Qwen2Tokenizer], pieces: list[str]) -> None:
    ours, theirs = both
    text = "".join(pieces)
    assert ours.encode(text).ids == theirs(text)["input_ids"]


@pytest.mark.parametrize("text", ["[verse] sun unheard. ; [chorus] rain", "ñ 漢字 \t!", "", "don't sunsets.moon"])
def test_any_text_is_spelt_back(built: Path, text: str) -> None:
    tokenizer = read_tokenizer(built)
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_special_token_with_another_id_is_refused(built: Path, tmp_path: Path) -> None:
    config = _copied(built, tmp_path)
    first = min(config["added_tokens_decoder"], key=int)
    config["added_tokens_decoder"]["999"] = config["added_tokens_decoder"].pop(first)
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(TokenizerFolderError, match=r"the id \d+; its place among the folder's tokens is \d+"):
        read_tokenizer(tmp_path)


def test_a_folder_without_the_special_tokens_is_refused(built: Path, tmp_path: Path) -> None:
    config = _copied(built, tmp_path)
    del config["added_tokens_decoder"]
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(TokenizerFolderError, match=r"has no token '<\|endoftext\|>'"):
        base_vocabulary(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerFolderError, match=r"vocab\.json, merges\.txt, tokenizer_config\.json missing"):
        read_tokenizer(tmp_path)


def _copied(folder: Path, target: Path) -> dict[str, dict[str, object]]:
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    config: dict[str, dict[str, object]] = json.loads((folder / CONFIG_FILE).read_text())
    return config
