"""Training codes and the prompt library of the release's own tools."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from levo.release.codes import language_of, read_auto_prompts, read_codes
from levo.release.errors import ReleaseError

CODES = np.arange(30, dtype=np.int64).reshape(1, 3, 10)


@pytest.mark.parametrize("shape", [(1, 3, 10), (3, 10)])
def test_training_codes_are_read_in_both_shapes(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "song.npy", CODES.reshape(shape))
    grid = read_codes(tmp_path / "song.npy", 16384)
    np.testing.assert_array_equal(grid.codes, CODES[0])
    assert grid.duration_s == 0.4


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (CODES[0, 0], r"has shape \[10\]; expected \[1, 3, frames\]"),
        (CODES[:, :2], r"has shape \[1, 2, 10\]"),
        (CODES[:, :, :0], r"has shape \[1, 3, 0\]"),
        (CODES.astype(float), "holds float64; expected integers"),
        (CODES - 1, "codes from -1 to 28; expected 0 to 28"),
        (CODES, "codes from 0 to 29; expected 0 to 28"),
        (np.array([Runs()], dtype=object), r"is no \.npy file of integers"),
    ],
)
def test_what_are_no_codes_is_named(array: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "song.npy", array)
    with pytest.raises(ReleaseError, match=message):
        read_codes(tmp_path / "song.npy", 29)
    assert not (tmp_path / "ran").exists()


def test_a_prompt_is_drawn_by_style_language_and_seed(tmp_path: Path) -> None:
    passages = [torch.full((1, 3, 5), value) for value in range(4)]
    library = {"Pop": {"zh": passages[:1], "en": passages[1:]}, "Jazz": {"zh": passages[:1], "en": []}}
    torch.save(library, tmp_path / "prompts.pt")
    prompts = read_auto_prompts(tmp_path / "prompts.pt", 16384)
    assert prompts.styles == ("Pop", "Jazz")
    english = {int(prompts.draw("Pop", "the rain", seed).codes[0, 0]) for seed in range(20)}
    assert english == {1, 2, 3}
    assert prompts.draw("Pop", "the rain", 7) is prompts.draw("Pop", "the rain", 7)
    assert int(prompts.draw("Pop", "雨下了", 0).codes[0, 0]) == 0
    assert int(prompts.draw("Jazz", "the rain", 0).codes[0, 0]) == 0
    with pytest.raises(ReleaseError, match="no auto prompt of style 'Polka'; expected one of Pop, Jazz"):
        prompts.draw("Polka", None, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list; expected passages"),
        ({"Pop": {}}, "style 'Pop' has no passages"),
        ({"Pop": {"en": [torch.full((1, 3, 5), 99999)]}}, "Pop, en, 0 has codes from 99999"),
        ({"Pop": Runs()}, "is no library of prompts"),
    ],
)
def test_what_is_no_library_is_named(
    content: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "prompts.pt")
    with pytest.raises(ReleaseError, match=message):
        read_auto_prompts(tmp_path / "prompts.pt", 16384)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("text", "language"), [("雨 rain and", "en"), ("雨下了 rain", "zh"), ("", "en"), (None, "en")])
def test_language_is_told_by_the_share_of_chinese_characters(text: str | None, language: str) -> None:
    assert language_of(text) == language
