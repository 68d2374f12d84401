"""The trial of the audio prompt: the same lyrics asked for with two seconds of their own style, and with wrong ones.

Both arms go without a description. With one, the wrong arm's prompt would contradict it, which no training song does,
and a song that is confused resembles nothing; besides, most of what makes a song like its prompt stands in the
description. Without one both arms ask for what training has seen, and the two seconds alone tell singer and style.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from levo.song.digest import digest_bytes
from pipelines.loop.records import PromptRow

NUM_TRIAL_PROMPTS = 24
"""Short prompts of the trial; each is sung once in either arm."""


class Asking(StrEnum):
    """What of a prompt is asked with: all of it, or, in the trial's two arms, no description and whose audio."""

    WHOLE = "whole"
    RIGHT_AUDIO = "right-audio"
    WRONG_AUDIO = "wrong-audio"


@dataclass(frozen=True, slots=True, eq=False)
class TrialPrompt:
    """A prompt, and another one whose singer and tags are not its own."""

    prompt: PromptRow
    wrong: PromptRow

    def asked(self, asking: Asking) -> PromptRow:
        """What an arm is asked; its name stays, so that its songs are held against the right prompt's audio."""
        source = self.wrong if asking is Asking.WRONG_AUDIO else self.prompt
        return replace(self.prompt, tags=(), audio_prompt=source.audio_prompt, audio_prompt_id=source.audio_prompt_id)


def trial_prompts(
    rows: Sequence[PromptRow], singers: Mapping[str, str], num_prompts: int = NUM_TRIAL_PROMPTS
) -> list[TrialPrompt]:
    """The first short prompts by the hash of their ids, each with a wrong one; `singers` names who sings each prompt.

    The wrong prompt has another singer and shares the fewest tags, ties going by hash. A prompt is left out where no
    other has another singer and other tags.
    """
    chosen: list[TrialPrompt] = []
    for row in sorted((row for row in rows if not row.is_long), key=lambda row: digest_bytes(row.prompt_id.encode())):
        strangers = [
            other
            for other in rows
            if singers[other.prompt_id] != singers[row.prompt_id] and set(other.tags) != set(row.tags)
        ]
        if strangers and len(chosen) < num_prompts:
            chosen.append(TrialPrompt(row, min(strangers, key=lambda other: _closeness(row, other))))
    return chosen


def _closeness(row: PromptRow, other: PromptRow) -> tuple[int, str]:
    shared = len(set(row.tags) & set(other.tags))
    return shared, digest_bytes(row.prompt_id.encode(), other.prompt_id.encode())
