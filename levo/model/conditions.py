"""What a song is conditioned on, as text and codes, as token tensors, and with parts of it dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from levo.model.config import LeLMConfig
from levo.song.description import DROPPED_DESCRIPTION, MusicalityTier
from levo.song.digest import digest_bytes
from levo.song.tokens import TokenGrid

_NEGATIVE_DESCRIPTION = f"{MusicalityTier.VERY_LOW.token}, {DROPPED_DESCRIPTION}"


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """One song's conditions; None is a condition that is not given."""

    lyrics: str | None = None
    description: str | None = None
    audio_prompt: TokenGrid | None = None

    def null(self) -> "Conditions":
        """What guidance leads away from: nothing, and very low musicality where very high is asked for."""
        asks_best = self.description is not None and MusicalityTier.VERY_HIGH.token in self.description
        return Conditions(description=_NEGATIVE_DESCRIPTION if asks_best else None)


@dataclass(frozen=True, slots=True, eq=False)
class ConditionTokens:
    """Conditions of a batch as ids, padded; an absent prompt is all special."""

    lyrics_ids: Int[Tensor, "row lyric_position"]
    description_ids: Int[Tensor, "row description_position"]
    prompt_codes: Int[Tensor, "row stream prompt_frame"]

    @property
    def num_rows(self) -> int:
        """Songs in the batch."""
        return len(self.lyrics_ids)

    def select(self, rows: Int[Tensor, " row"] | slice) -> "ConditionTokens":
        """Some of the rows."""
        return ConditionTokens(self.lyrics_ids[rows], self.description_ids[rows], self.prompt_codes[rows])

    def row_digests(self) -> tuple[str, ...]:
        """One name a row: rows of the same ids have the same name."""
        parts = [part.cpu().numpy() for part in (self.lyrics_ids, self.description_ids, self.prompt_codes)]
        return tuple(digest_bytes(*(part[row].tobytes() for part in parts)) for row in range(self.num_rows))

    def to(self, device: torch.device | str) -> "ConditionTokens":
        """The same on another device."""
        return ConditionTokens(
            self.lyrics_ids.to(device), self.description_ids.to(device), self.prompt_codes.to(device)
        )


def concatenate_conditions(parts: Sequence[ConditionTokens]) -> ConditionTokens:
    """The rows of all parts."""
    return ConditionTokens(
        torch.cat([part.lyrics_ids for part in parts]),
        torch.cat([part.description_ids for part in parts]),
        torch.cat([part.prompt_codes for part in parts]),
    )


def null_condition_tokens(num_rows: int, config: LeLMConfig) -> ConditionTokens:
    """Rows without any condition: bare start tokens and an absent prompt."""
    return ConditionTokens(
        _bare_start((num_rows, config.max_lyrics_tokens), config),
        _bare_start((num_rows, config.max_description_tokens), config),
        torch.full((num_rows, len(config.delays), config.max_prompt_frames), config.special_id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDropout:
    """Probabilities of leaving conditions out in training: all of a song's at once, or each by itself."""

    all_conditions: float = 0.15
    lyrics: float = 0.0
    audio_prompt: float = 0.5
    description: float = 0.2

    def __post_init__(self) -> None:
        for name in ("all_conditions", "lyrics", "audio_prompt", "description"):
            probability = getattr(self, name)
            if not 0.0 <= probability <= 1.0:
                raise ValueError(f"condition dropout: {name} is {probability}; expected a probability")


def drop_conditions(
    tokens: ConditionTokens, dropout: ConditionDropout, config: LeLMConfig, generator: torch.Generator
) -> ConditionTokens:
    """Leave conditions out: texts of each song by its own draw, the audio prompts of a batch together.

    The released code drops every attribute for a whole batch. For audio prompts that pays: a batch without them is
    shorter. For texts it would only make batches differ more from one another.
    """
    draws = torch.rand((4, tokens.num_rows), generator=generator).to(tokens.lyrics_ids.device)
    drop_all = draws[0] < dropout.all_conditions
    drop_prompt = drop_all | (draws[2, :1] < dropout.audio_prompt)
    return ConditionTokens(
        _dropped_text(tokens.lyrics_ids, drop_all | (draws[1] < dropout.lyrics), config),
        _dropped_text(tokens.description_ids, drop_all | (draws[3] < dropout.description), config),
        tokens.prompt_codes.masked_fill(drop_prompt[:, None, None], config.special_id),
    )


def _dropped_text(ids: Int[Tensor, "row position"], drop: Bool[Tensor, " row"], config: LeLMConfig) -> Tensor:
    return torch.where(drop[:, None], _bare_start((1, ids.shape[1]), config).to(ids.device), ids)


def _bare_start(shape: tuple[int, int], config: LeLMConfig) -> Int[Tensor, "row position"]:
    ids = torch.full(shape, config.text_padding_id)
    ids[:, 0] = config.text_start_id
    return ids
