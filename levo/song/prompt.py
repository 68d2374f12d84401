"""What a song is asked for with: lyrics, description, audio prompt, length, and the set that the prompt belongs to."""

from dataclasses import dataclass
from enum import StrEnum

from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.song.lyrics import Lyrics
from levo.song.tokens import TokenGrid


class PromptSet(StrEnum):
    """Four disjoint sets: what makes preferences, chooses coefficients, promotes, and is reported."""

    PAIR = "pair"
    SEARCH = "search"
    GATE = "gate"
    REPORT = "report"


@dataclass(frozen=True, slots=True, eq=False)
class SongPrompt:
    """One request for a song; `audio_prompt` is a few seconds of tokens of another song."""

    prompt_id: str
    lyrics: Lyrics
    description: Description
    audio_prompt: TokenGrid | None
    num_frames: int
    audio_prompt_id: str | None = None


def prompt_set_of(prompt_id: str, shares: dict[PromptSet, float]) -> PromptSet:
    """The set a prompt belongs to, by the hash of its id alone; shares are relative weights."""
    point = int(digest_bytes(prompt_id.encode())[:15], 16) / 16**15 * sum(shares.values())
    for name, share in shares.items():
        point -= share
        if point < 0:
            return name
    return list(shares)[-1]
