"""Prompts of one's own: a file of orders in the release's fields, each in one of four sets by the hash of its name."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from levo.model.tokenizer import ConditionEncoder, ConditionError
from levo.release.codes import read_codes
from levo.song.description import parse_description
from levo.song.prompt import PromptSet, prompt_set_of
from pipelines.generation.order_file import SongOrder, read_orders
from pipelines.loop.records import PromptRow
from pipelines.loop.sampling import conditions_of

_NO_WORDS = re.compile(r"\[[^\]]*\]|[\s;.,]")
_MOST_TOLD = 10


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
    filled, or two sets share their words, `LineError` with every line that is wrong.
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
    _refuse_shared_words(file, rows)
    return rows


def check_texts(rows: Sequence[PromptRow], encoder: ConditionEncoder) -> None:
    """Raise `OwnPromptsError` with every prompt whose texts a song model cannot be given, before any night is paid for.

    The file is read anew then: nothing of a line is begun.
    """
    problems = []
    for row in rows:
        try:
            encoder.encode([conditions_of(row)])
        except ConditionError as error:
            problems.append(f"{row.prompt_id}: {error}")
    if problems:
        more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        raise OwnPromptsError("; ".join(problems[:_MOST_TOLD]) + more)


def refuse_known(rows: Sequence[PromptRow], known: Iterable[PromptRow]) -> None:
    """Raise `OwnPromptsError` where words are those of the line that the first champion comes from, in whatever set.

    What that champion was trained, chosen or reported on says nothing of its followers.
    """
    words = {row.lyrics: row.prompt_id for row in known if _NO_WORDS.sub("", row.lyrics)}
    shared = [f"{row.prompt_id} (there {words[row.lyrics]})" for row in rows if row.lyrics in words]
    if shared:
        told = ", ".join(shared[:_MOST_TOLD])
        raise OwnPromptsError(
            f"{len(shared)} prompts have the words of the line that --champion comes from; expected others: {told}"
        )


def _refuse_shared_words(file: Path, rows: Sequence[PromptRow]) -> None:
    """What is trained on must not be what decides or reports; music without words shares none."""
    first: dict[str, PromptRow] = {}
    for row in rows:
        if not _NO_WORDS.sub("", row.lyrics):
            continue
        other = first.setdefault(row.lyrics, row)
        if other.prompt_set is not row.prompt_set:
            both = " and ".join(f"{one.prompt_id} ({one.prompt_set.value})" for one in (other, row))
            raise OwnPromptsError(
                f"{file}: {both} have the same gt_lyric; expected each lyric in one set: leave one of the two out"
            )


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
