"""Which prompts a night samples: a quota for every kind of song, and a share where the champion is weakest."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from levo.song.digest import digest_json


@dataclass(frozen=True, slots=True)
class PromptKind:
    """A prompt and what songs of its kind have in common."""

    prompt_id: str
    language: str
    genre: str
    structure: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """What quotas are counted by."""
        return (self.language, self.genre, self.structure)


@dataclass(frozen=True, slots=True)
class ChosenPrompt:
    """A prompt of the night, and why it is one: `quota` of its kind, or `weak`."""

    prompt_id: str
    why: str


def choose_prompts(
    pool: Sequence[PromptKind],
    num_prompts: int,
    night: str,
    weakness: Mapping[str, float],
    weak_share: float = 0.25,
) -> tuple[ChosenPrompt, ...]:
    """Prompts of a night, in the order of their ids; the same night, pool and weakness choose the same.

    A share goes to the prompts with the largest `weakness` (how far the champion falls short; prompts without one are
    not weak), equal ones in the night's order. The others are spread evenly over the kinds, and drawn in an order that
    the night's name decides: kinds with fewer prompts than their quota leave the rest to the others. Raises
    `ValueError` for a pool that is too small.
    """
    if not 0 <= weak_share <= 1:
        raise ValueError(f"weak_share is {weak_share}; expected a share between 0 and 1")
    if not 0 < num_prompts <= len(pool):
        raise ValueError(f"num_prompts is {num_prompts}; expected 1 to {len(pool)}, the prompts in the pool")
    ids = [prompt.prompt_id for prompt in pool]
    if len(set(ids)) != len(ids):
        repeated = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"prompt {repeated!r} is in the pool twice")
    known = [prompt for prompt in pool if weakness.get(prompt.prompt_id, 0.0) > 0]
    weakest = sorted(known, key=lambda prompt: (-weakness[prompt.prompt_id], digest_json([night, prompt.prompt_id])))
    weak = {prompt.prompt_id for prompt in weakest[: round(weak_share * num_prompts)]}
    rest = [prompt for prompt in pool if prompt.prompt_id not in weak]
    drawn = _spread(rest, num_prompts - len(weak), night)
    chosen = [*((one, "weak") for one in weak), *((one, "quota") for one in drawn)]
    return tuple(ChosenPrompt(*one) for one in sorted(chosen))


def _spread(pool: Sequence[PromptKind], number: int, night: str) -> list[str]:
    """So many prompts, in turns of the kinds; both the kinds' and the prompts' order are the night's."""
    kinds: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for prompt in pool:
        kinds[prompt.kind].append(prompt.prompt_id)
    queues = [
        sorted(kinds[kind], key=lambda one: digest_json([night, one]))
        for kind in sorted(kinds, key=lambda kind: digest_json([night, list(kind)]))
    ]
    longest = max(map(len, queues), default=0)
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return turns[:number]
