"""Prompts of one's own: a file of orders in the release's fields, each in one of four sets by the hash of its name."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from levo.release.codes import read_codes
from levo.song.description import parse_description
from levo.song.prompt import PromptSet, prompt_set_of
from pipelines.generation.order_file import SongOrder, read_orders
from pipelines.loop.records import PromptRow


class OwnPromptsError(ValueError):
    """A file of prompts that does not fill the sets, or whose prompts lack what a refresh needs."""


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """What the run's song model takes: codes below `code_size`, songs and audio prompts up to so many frames."""

    code_size: int
    max_frames: int
    max_prompt_frames: int


def read_own_prompts(file: Path, numbers: Mapping[PromptSet, int], limits: PromptLimits) -> list[PromptRow]:
    """The file's prompts, as many a set as `numbers` says; more than that are left out, the last ones first.

    Which set a prompt is in depends on its `idx` and the numbers' proportions alone, so that to add prompts later moves
    none. Every line needs `idx`, `gt_lyric` and `prompt_codes_path`. Raises `OwnPromptsError` where a set is not
    filled, `LineError` with every line that is wrong.
    """
    shares = {name: float(number) for name, number in numbers.items() if number}
    taken: Counter[PromptSet] = Counter()
    rows = []
    for order in read_orders(file):
        prompt_set = prompt_set_of(order.idx, shares)
        if taken[prompt_set] < numbers[prompt_set]:
            taken[prompt_set] += 1
            rows.append(_row(order, prompt_set, file.parent, limits))
    short = [f"{name.value} has {taken[name]} of {number}" for name, number in numbers.items() if taken[name] < number]
    if short:
        expected = sum(numbers.values())
        raise OwnPromptsError(f"{file}: too few prompts: {', '.join(short)}; expected somewhat more than {expected}")
    return rows


def _row(order: SongOrder, prompt_set: PromptSet, folder: Path, limits: PromptLimits) -> PromptRow:
    if order.prompt_codes_path is None:
        raise OwnPromptsError(f"{order.idx} has no prompt_codes_path; expected an array of its audio prompt's codes")
    codes = read_codes(folder / order.prompt_codes_path, limits.code_size).window(0, limits.max_prompt_frames)
    tags = () if order.description is None else parse_description(order.description).tags
    return PromptRow(
        prompt_id=order.idx,
        prompt_set=prompt_set,
        is_long=False,
        lyrics=order.lyrics,
        tags=tags,
        max_frames=limits.max_frames,
        audio_prompt_id=order.prompt_codes_path,
        audio_prompt=codes.codes,
    )
