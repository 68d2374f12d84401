"""Orders in the release's fields, and the line and column of what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.json_lines import LineError
from pipelines.generation.order_file import read_orders

LYRICS = "[verse] sun and moon. rain ; [chorus] wind."


def orders_of(folder: Path, *lines: str) -> Any:
    (folder / "orders.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_orders(folder / "orders.jsonl")


def test_the_released_fields_are_read_and_others_kept(tmp_path: Path) -> None:
    first = {
        "idx": "one",
        "gt_lyric": LYRICS,
        "descriptions": "female, dark",
        "auto_prompt_audio_type": "Pop",
        "mine": 3,
    }
    second = {"idx": "zwei", "gt_lyric": LYRICS, "prompt_audio_path": None, "seed": 7}
    one, two = orders_of(tmp_path, json.dumps(first), "", json.dumps(second, indent=None))
    assert (one.idx, one.lyrics, one.description, one.auto_prompt_audio_type) == ("one", LYRICS, "female, dark", "Pop")
    assert one.line == first
    assert (two.seed, two.prompt_audio_path, two.description) == (7, None, None)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('{"idx": "a"', "1:12: no JSON object: expected ','"),
        ("[1]", "1:1: no JSON object: expected '{'"),
        ('{"idx": "a"} x', "1:14: no JSON object: something follows"),
        ('{"idx": "a", "idx": "b"}', "1:21: no JSON object: idx is given twice"),
        ('{"gt_lyric": "[verse] sun."}', "1:1: idx is missing"),
        ('{"idx": 5, "gt_lyric": "[verse] sun."}', "1:9: idx is 5; expected text"),
        ('{"idx": "../a", "gt_lyric": "[verse] sun."}', "1:9: idx is '../a'; expected a file name"),
        ('{"idx": ".a", "gt_lyric": "[verse] sun."}', "1:9: idx is '.a'"),
        ('{"idx": "a\\\\b", "gt_lyric": "[verse] sun."}', "1:9: idx is"),
        ('{"idx": "a", "gt_lyric": "[verse] sun. ; [solo] x."}', "1:42: gt_lyric:"),
        ('{"idx": "a", "gt_lyric": "\\u0041 [verse] sun."}', "1:27: gt_lyric:"),
        ('{"idx": "a", "gt_lyric": "[verse] \\u96e8. ; [solo] x."}', "1:45: gt_lyric:"),
        ('{"idx": "a", "gt_lyric": "[verse] s.", "descriptions": "[Loud], a"}', "1:56: descriptions: unknown tag"),
        ('{"idx": "a", "gt_lyric": "[verse] s.", "seed": -1}', "1:48: seed is -1"),
        ('{"idx": "a", "gt_lyric": "[verse] s.", "seed": true}', "1:48: seed is True"),
        (
            '{"idx": "a", "gt_lyric": "[verse] s.", "prompt_audio_path": "a.wav", "auto_prompt_audio_type": "Pop"}',
            "1:96: both prompt_audio_path and auto_prompt_audio_type",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(line: str, place: str, tmp_path: Path) -> None:
    with pytest.raises(LineError) as raised:
        orders_of(tmp_path, line)
    assert f"orders.jsonl:{place}" in str(raised.value)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    good = json.dumps({"idx": "a", "gt_lyric": LYRICS})
    with pytest.raises(LineError) as raised:
        orders_of(tmp_path, good, "{", good, '{"idx": "b"}')
    assert "orders.jsonl:2:" in str(raised.value)
    assert "orders.jsonl:3:1: idx 'a' is line 1's already" in str(raised.value)
    assert "orders.jsonl:4:1: gt_lyric is missing" in str(raised.value)
    with pytest.raises(LineError, match="no orders"):
        orders_of(tmp_path, "")


@given(st.text(), st.text(), st.integers(0, 2**40), st.booleans())
def test_any_text_survives_and_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, extra: str, key: str, seed: int, is_ascii: bool
) -> None:
    fields = {key: extra, "idx": "a", "gt_lyric": LYRICS, "seed": seed}
    line = json.dumps(fields, ensure_ascii=is_ascii)
    if any(sign in line for sign in "\x1c\x1d\x1e\x85\u2028\u2029\x0b\x0c") or not line.isprintable():
        return
    try:
        (order,) = orders_of(tmp_path_factory.mktemp("orders"), line)
    except (LineError, UnicodeEncodeError):
        assert key in {"descriptions", "prompt_audio_path"} or not line.isprintable() or "\\ud" in line
        return
    assert order.line == fields
