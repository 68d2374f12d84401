"""Prompts of one's own: each in one set by its name, the sets filled, and what is missing named."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.model.config import demo_config
from levo.model.tokenizer import ConditionEncoder, build_tokenizer, read_vocabulary
from levo.song.prompt import PromptSet
from pipelines.flow.json_lines import LineError
from pipelines.refresh.own_prompts import OwnPromptsError, PromptLimits, check_texts, read_own_prompts, refuse_known

LIMITS = PromptLimits(code_size=24, max_frames=100, max_prompt_frames=6)
NUMBERS = {PromptSet.PAIR: 8, PromptSet.SEARCH: 2, PromptSet.GATE: 4, PromptSet.REPORT: 2}


def written(folder: Path, number: int, **changes: object) -> Path:
    np.save(folder / "codes.npy", np.arange(30, dtype=np.int64).reshape(3, 10) % 24)
    line = {"descriptions": "pop, slow", "prompt_codes_path": "codes.npy"}
    lines = [
        json.dumps({"idx": f"prompt-{place}", "gt_lyric": f"[verse] moon {place}.", **line, **changes})
        for place in range(number)
    ]
    file = folder / "prompts.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_every_set_is_filled_and_none_shares_a_prompt(tmp_path: Path) -> None:
    rows = read_own_prompts(written(tmp_path, 64), NUMBERS, LIMITS)
    assert {name: sum(row.prompt_set is name for row in rows) for name in NUMBERS} == NUMBERS
    assert len({row.prompt_id for row in rows}) == 16
    first = rows[0]
    assert (first.lyrics.split()[0], first.tags, first.max_frames) == ("[verse]", ("pop", "slow"), 100)
    assert first.audio_prompt.shape == (3, 6), "cut to what the model takes"


def test_more_prompts_move_none_to_another_set(tmp_path: Path) -> None:
    few = {row.prompt_id: row.prompt_set for row in read_own_prompts(written(tmp_path, 64), NUMBERS, LIMITS)}
    many = {row.prompt_id: row.prompt_set for row in read_own_prompts(written(tmp_path, 96), NUMBERS, LIMITS)}
    assert few == many


def test_a_set_that_is_not_filled_is_named(tmp_path: Path) -> None:
    with pytest.raises(OwnPromptsError, match=r"too few prompts: pair has \d of 8"):
        read_own_prompts(written(tmp_path, 6), NUMBERS, LIMITS)


def test_a_prompt_without_codes_is_named(tmp_path: Path) -> None:
    with pytest.raises(OwnPromptsError, match="prompt-0 has no prompt_codes_path"):
        read_own_prompts(written(tmp_path, 64, prompt_codes_path=None), NUMBERS, LIMITS)


def test_lyrics_out_of_the_format_are_named_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(LineError, match=r"prompts.jsonl:1:"):
        read_own_prompts(written(tmp_path, 64, gt_lyric="[nonsense] moon."), NUMBERS, LIMITS)


def test_sets_that_share_words_are_refused_and_music_without_words_shares_none(tmp_path: Path) -> None:
    with pytest.raises(OwnPromptsError, match=r"prompt-\d+ \(\w+\) and prompt-\d+ \(\w+\) have the same gt_lyric"):
        read_own_prompts(written(tmp_path, 64, gt_lyric="[verse] moon."), NUMBERS, LIMITS)
    instrumental = "[intro-short] ; [inst-medium] ; [outro-short]"
    assert len(read_own_prompts(written(tmp_path, 64, gt_lyric=instrumental), NUMBERS, LIMITS)) == 16


def test_texts_that_the_model_cannot_be_given_are_named_before_a_line_begins(tmp_path: Path) -> None:
    build_tokenizer(("moon",), tmp_path / "tokenizer")
    encoder = ConditionEncoder(tmp_path / "tokenizer", demo_config(read_vocabulary(tmp_path / "tokenizer")))
    rows = read_own_prompts(written(tmp_path, 64), NUMBERS, LIMITS)
    check_texts(rows, encoder)
    long = [replace(row, lyrics="[verse]" + " moon" * 500) for row in rows]
    with pytest.raises(OwnPromptsError, match=r"prompt-\d+: lyrics of song 0 has 502 tokens.*; and 6 more"):
        check_texts(long, encoder)


def test_words_of_the_line_that_a_champion_comes_from_are_refused(tmp_path: Path) -> None:
    rows = read_own_prompts(written(tmp_path, 64), NUMBERS, LIMITS)
    refuse_known(rows[:8], rows[8:])
    with pytest.raises(OwnPromptsError, match=r"1 prompts have the words of the line .* prompt-\d+ \(there older\)"):
        refuse_known(rows, [replace(rows[3], prompt_id="older"), replace(rows[4], lyrics="[inst-short]")])
