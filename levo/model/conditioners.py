"""Conditions as vectors: lyrics with their structure, the audio prompt and the description, in the prefix's order."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from levo.model.conditions import ConditionTokens
from levo.model.config import LeLMConfig
from levo.song.structure import StructureTag
from levo.song.tokens import NUM_STREAMS, Stream

_NUM_STRUCTURE_ROWS = 200


class Prefix(NamedTuple):  # a tuple, so that DeepSpeed's ZeRO-3 hooks see the tensors that a module returns
    """The condition vectors of both towers.

    `is_used` marks the places that hold a condition rather than padding; `positions` are their numbers in a prefix
    whose every condition has its full length.
    """

    language_model: Float[Tensor, "row position width"]
    decoder: Float[Tensor, "row position width"]
    is_used: Bool[Tensor, "row position"]
    positions: Int[Tensor, " position"]


class PromptVectors(NamedTuple):  # a tuple, as above
    """The audio prompt as each tower sees it."""

    language_model: Float[Tensor, "row position width"]
    decoder: Float[Tensor, "row position width"]


class LyricsConditioner(nn.Module):
    """Token table plus, under each token, the vector of the section that it stands in."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.config = config
        self.output_proj = nn.Embedding(config.lyrics_vocabulary_size, config.width, config.text_padding_id)
        self.structure_emb = nn.Embedding(_NUM_STRUCTURE_ROWS, config.width, 0)

    def forward(self, ids: Int[Tensor, "row position"]) -> Float[Tensor, "row position width"]:
        """One vector a token; padding is zero."""
        return self.output_proj(ids) + self.structure_emb(self.structure_of(ids))  # type: ignore[no-any-return]

    def structure_of(self, ids: Int[Tensor, "row position"]) -> Int[Tensor, "row position"]:
        """The section of each token: 1 + the index of the last tag at or before it; 0 before any tag and on padding."""
        index = ids - self.config.first_structure_id
        is_tag = (index >= 0) & (index < len(StructureTag))
        place = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        last_tag = torch.where(is_tag, place, -1).cummax(dim=1).values
        section = index.gather(1, last_tag.clamp(min=0)) + 1
        return section.masked_fill((last_tag < 0) | (ids == self.config.text_padding_id), 0)


class DescriptionConditioner(nn.Module):
    """The description's token table."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.output_proj = nn.Embedding(config.description_vocabulary_size, config.width, config.text_padding_id)

    def forward(self, ids: Int[Tensor, "row position"]) -> Float[Tensor, "row position width"]:
        """One vector a token; padding is zero."""
        return self.output_proj(ids)  # type: ignore[no-any-return]


class PromptConditioner(nn.Module):
    """The audio prompt by tables of its own: mixed codes for the language model, the others' sum for the decoder."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.ModuleList(
            nn.Embedding(config.code_size + 2, config.width, config.special_id) for _ in range(NUM_STREAMS)
        )
        self.EOT_emb = nn.Parameter(torch.randn(1, config.width))
        self.layer2_EOT_emb = nn.Parameter(torch.randn(1, config.width))

    def forward(self, codes: Int[Tensor, "row stream frame"]) -> PromptVectors:
        """A learned vector, then the end-of-song code and the prompt's codes; only the learned vector where absent."""
        opened = opened_prompt(codes, self.config)
        mixed = self.emb[Stream.MIXED](opened[:, Stream.MIXED])
        tracks = self.emb[Stream.VOCAL](opened[:, Stream.VOCAL])
        tracks = tracks + self.emb[Stream.ACCOMPANIMENT](opened[:, Stream.ACCOMPANIMENT])
        return PromptVectors(
            torch.cat([self.EOT_emb.expand(len(codes), 1, -1), mixed], dim=1),
            torch.cat([self.layer2_EOT_emb.expand(len(codes), 1, -1), tracks], dim=1),
        )


class ConditionProvider(nn.Module):
    """All conditioners, by the names that the released weights give them (`description` holds the lyrics there)."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioners = nn.ModuleDict(
            {
                "description": LyricsConditioner(config),
                "prompt_audio": PromptConditioner(config),
                "type_info": DescriptionConditioner(config),
            }
        )

    def forward(self, tokens: ConditionTokens) -> Prefix:
        """Lyrics, audio prompt, description: the prefix of both towers."""
        lyrics = self.conditioners["description"](tokens.lyrics_ids)
        prompt: PromptVectors = self.conditioners["prompt_audio"](tokens.prompt_codes)
        description = self.conditioners["type_info"](tokens.description_ids)
        return Prefix(
            torch.cat([lyrics, prompt.language_model, description], dim=1),
            torch.cat([lyrics, prompt.decoder, description], dim=1),
            used_positions(tokens, self.config),
            self._positions(tokens),
        )

    def _positions(self, tokens: ConditionTokens) -> Int[Tensor, " position"]:
        first_of_prompt = self.config.max_lyrics_tokens
        first_of_description = first_of_prompt + self.config.prompt_positions
        parts = (
            (0, tokens.lyrics_ids.shape[1]),
            (first_of_prompt, self.config.prompt_positions),
            (first_of_description, tokens.description_ids.shape[1]),
        )
        return torch.cat([torch.arange(first, first + n, device=tokens.lyrics_ids.device) for first, n in parts])


def opened_prompt(codes: Int[Tensor, "row stream frame"], config: LeLMConfig) -> Int[Tensor, "row stream position"]:
    """The prompt behind an end-of-song code, cut or padded to its fixed length.

    A stream that is absent in its first frame is absent throughout.
    """
    codes = codes[:, :, : config.max_prompt_frames]
    opened = nn.functional.pad(codes, (1, 0), value=config.end_id)
    opened = nn.functional.pad(opened, (0, config.max_prompt_frames - codes.shape[2]), value=config.special_id)
    return opened.masked_fill(opened[:, :, 1:2] == config.special_id, config.special_id)


def used_positions(tokens: ConditionTokens, config: LeLMConfig) -> Bool[Tensor, "row position"]:
    """Which prefix positions hold a condition; the learned vector before the audio prompt always does."""
    prompt = (opened_prompt(tokens.prompt_codes, config) != config.special_id).any(dim=1)
    padding = config.text_padding_id
    return torch.cat(
        [
            tokens.lyrics_ids != padding,
            prompt.new_ones(tokens.num_rows, 1),
            prompt,
            tokens.description_ids != padding,
        ],
        dim=1,
    )
