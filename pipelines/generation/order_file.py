"""A file of orders, a JSON object a line in the release's fields, checked whole before any work begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.flow.json_lines import Line, read_lines

_PROMPT_FIELDS = ("prompt_audio_path", "auto_prompt_audio_type", "prompt_codes_path")


@dataclass(frozen=True, slots=True)
class SongOrder:
    """One song that is asked for, and the whole line that it came in; at most one of the prompts is given."""

    idx: str
    lyrics: str
    description: str | None
    prompt_audio_path: str | None
    auto_prompt_audio_type: str | None
    prompt_codes_path: str | None
    seed: int | None
    line: Mapping[str, Any]


def read_orders(path: Path) -> list[SongOrder]:
    """All orders of a file, in its order. Raises `LineError` with every problem found, or the first ten of them.

    Fields: `idx` (a file name), `gt_lyric`, and if given `descriptions`, `seed`, and one of `prompt_audio_path`,
    `auto_prompt_audio_type` and `prompt_codes_path`. Other fields are kept.
    """
    return read_lines(path, _order, "orders")


def _order(line: Line) -> SongOrder | None:
    idx, lyrics = line.file_name("idx"), line.lyrics("gt_lyric")
    description, prompts, seed = line.description("descriptions"), line.one_of(_PROMPT_FIELDS), line.seed("seed")
    if idx is None or lyrics is None:
        return None
    return SongOrder(idx, lyrics, description, **prompts, seed=seed, line=line.values)
