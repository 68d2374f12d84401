"""LeLM: a language model over mixed codes, and an AR decoder over vocal and accompaniment codes that reads its states.

Attribute names are the released weights' own, so that their state dict loads as it is:

    name in the paper          attribute
    language model             emb, transformer
    bridge (MLP)               mlp
    AR decoder                 layer2_emb, transformer2, linears
    conditions                 condition_provider
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from levo.model.branches import BranchedLayout
from levo.model.conditioners import ConditionProvider, Prefix
from levo.model.conditions import ConditionTokens
from levo.model.config import LeLMConfig
from levo.model.delay import align_logits
from levo.model.head import Head
from levo.model.kv_cache import CacheWriter
from levo.model.linear import Linear
from levo.model.packing import PackedLayout, full_layout, packed_layout
from levo.model.tower import Tower
from levo.song.tokens import Stream


class Streams(StrEnum):
    """Which streams a forward pass predicts: the language model's alone, or all three."""

    MIXED = "mixed"
    ALL = "all"


class LeLMOutput(NamedTuple):  # a tuple, so that DeepSpeed's ZeRO-3 hooks see the tensors in it
    """Float32 logits at the codes' positions, one tensor a predicted stream in the streams' order, and last states.

    The logits at position p are those of the codes at position p + 1. Where targets were given there are `losses` in
    place of logits, by frame or as sums, and, if asked for, how many codes of each stream were the likeliest.
    """

    logits: tuple[Float[Tensor, "row position class"], ...]
    language_states: Float[Tensor, "row packed width"]
    decoder_states: Float[Tensor, "row packed width"] | None
    layout: PackedLayout | BranchedLayout
    losses: tuple[Tensor, ...] = ()
    num_correct: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a forward pass is held against: the codes, the special one where there is none."""

    codes: Int[Tensor, "row stream frame"]
    is_summed: bool = False
    counts_correct: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LeLMCaches:
    """The cache writers of both towers, one a layer."""

    language_model: list[CacheWriter]
    decoder: list[CacheWriter]


class LanguageModel(nn.Module):
    """The tower over mixed codes and its head."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.model = Tower(
            width=config.width,
            num_heads=config.num_heads,
            inner_width=config.feed_forward_width,
            num_layers=config.num_layers,
            rope_base=config.rope_base,
            num_positions=config.max_positions,
        )
        self.lm_head = Head(config.width, config.num_classes)
        nn.init.normal_(self.lm_head.weight, std=0.02)


class ARDecoder(nn.Module):
    """The tower over bridged states."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.model = Tower(
            width=config.width,
            num_heads=config.num_heads,
            inner_width=config.feed_forward_width,
            num_layers=config.num_decoder_layers,
            rope_base=config.decoder_rope_base,
            num_positions=config.max_decoder_positions,
        )


class LeLM(nn.Module):
    """The song model."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.config = config
        width, num_ids = config.width, config.code_size + 2
        mixed = nn.Embedding(num_ids, width)
        nn.init.trunc_normal_(mixed.weight, std=width**-0.5, a=-3 * width**-0.5, b=3 * width**-0.5)
        self.emb = nn.ModuleList([mixed])
        self.layer2_emb = nn.ModuleDict({"1": nn.Embedding(num_ids, width), "2": nn.Embedding(num_ids, width)})
        self.transformer = LanguageModel(config)
        self.mlp = nn.Sequential(Linear(2 * width, width), nn.GELU(), Linear(width, width))
        self.transformer2 = ARDecoder(config)
        self.linears = nn.ModuleList(Head(width, config.num_classes) for _ in range(2))
        self.condition_provider = ConditionProvider(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.transformer.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored and computed in."""
        return self.transformer.lm_head.weight.dtype

    def recompute_activations(self, recomputes: bool = True) -> None:
        """Have training keep the layers' inputs alone; what it computes stays the same."""
        self.transformer.model.recomputes = self.transformer2.model.recomputes = recomputes

    def compile_layers(self) -> None:
        """Have torch compile each layer at its first call, for sequences of any length."""
        for tower in (self.transformer.model, self.transformer2.model):
            for layer in tower.layers:
                layer.compile(dynamic=True)

    def forward(
        self,
        sequence: Int[Tensor, "row stream position"],
        conditions: ConditionTokens,
        *,
        streams: Streams = Streams.ALL,
        freeze_language_model: bool = False,
        targets: Targets | None = None,
        branches: int = 1,
    ) -> LeLMOutput:
        """Logits of interleaved codes under their conditions, or their losses against `targets`.

        `freeze_language_model` computes the language model's states without gradient, as stage 2 trains the decoder;
        the mixed stream then has no losses. With `branches` there are so many times as many songs as conditions, first
        one for all conditions, then the next: each prefix is computed once for all of its songs. That takes a model
        whose prefixes have one length (`LeLMConfig.shares_prefixes`).
        """
        prefix = self.condition_provider(conditions)
        layout = self._layout_of(prefix, sequence.shape[-1], branches)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not freeze_language_model):
            mixed = layout.pack(prefix.language_model, self.embed_mixed(sequence))
            language_states = _run(self.transformer.model, mixed, layout)
        decoder_states = None
        if streams is Streams.ALL:
            tracks = layout.pack(prefix.decoder, self.embed_tracks(sequence))
            decoder_states = _run(self.transformer2.model, self.bridge(tracks, language_states), layout)
        if targets is not None:
            return self._held_against(targets, language_states, decoder_states, layout, freeze_language_model)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not freeze_language_model):
            logits = [self.mixed_logits(layout.codes_of(language_states))]
        if decoder_states is not None:
            logits += self.track_logits(layout.codes_of(decoder_states))
        return LeLMOutput(tuple(logits), language_states, decoder_states, layout)

    def _held_against(
        self,
        targets: Targets,
        language_states: Float[Tensor, "row packed width"],
        decoder_states: Float[Tensor, "row packed width"] | None,
        layout: PackedLayout | BranchedLayout,
        leave_mixed_out: bool,
    ) -> LeLMOutput:
        read: list[tuple[Stream, nn.Module, Tensor]] = []
        if not leave_mixed_out:
            read.append((Stream.MIXED, self.transformer.lm_head, language_states))
        if decoder_states is not None:
            tracks = zip((Stream.VOCAL, Stream.ACCOMPANIMENT), self.linears, strict=True)
            read += [(stream, head, decoder_states) for stream, head in tracks]
        losses, num_correct = [], []
        for stream, head, states in read:
            wanted, ignored = targets.codes[:, stream], self.config.special_id
            aligned = align_logits(layout.codes_of(states), self.config.delays[stream], wanted.shape[1])
            losses.append(head(aligned, wanted, ignored=ignored, measure="loss" if targets.is_summed else "losses"))
            if targets.counts_correct:
                num_correct.append(head(aligned, wanted, ignored=ignored, measure="num_correct"))
        return LeLMOutput((), language_states, decoder_states, layout, tuple(losses), tuple(num_correct))

    def _layout_of(self, prefix: Prefix, num_codes: int, branches: int) -> PackedLayout | BranchedLayout:
        if branches == 1:
            return self.layout(prefix, num_codes)
        if not self.config.shares_prefixes:
            raise ValueError(f"{branches} songs a prefix; this model's prefixes differ in length, so it takes one")
        return BranchedLayout(prefix.is_used.shape[1], num_codes, branches)

    def layout(self, prefix: Prefix, num_codes: int) -> PackedLayout:
        """How prefix and codes share a sequence, by the config's `prefix_padding`."""
        if self.config.prefix_padding == "attended":
            num_rows, prefix_length = prefix.is_used.shape
            return full_layout(num_rows, prefix_length, num_codes, prefix.is_used.device)
        return packed_layout(prefix.is_used, prefix.positions, self.config.prefix_length, num_codes)

    def prefill(self, conditions: ConditionTokens, length: int, caches: LeLMCaches) -> Int[Tensor, " row"]:
        """Run the prefixes alone, padded to `length` positions, into the caches; returns each row's prefix length."""
        prefix = self.condition_provider(conditions)
        layout = self.layout(prefix, 1)
        mixed = _fitted(layout.pack(prefix.language_model, torch.zeros_like(prefix.language_model[:, :1])), length)
        tracks = _fitted(layout.pack(prefix.decoder, torch.zeros_like(prefix.decoder[:, :1])), length)
        positions = layout.positions
        if positions is not None:
            positions = functional.pad(positions, (0, length - positions.shape[1]))
        language_states = self.transformer.model(mixed, positions, caches.language_model)
        self.transformer2.model(self.bridge(tracks, language_states), positions, caches.decoder)
        return layout.prefix_lengths

    def step(
        self, column: Int[Tensor, "row stream"], positions: Int[Tensor, " row"], caches: LeLMCaches
    ) -> Float[Tensor, "row stream class"]:
        """Logits of each row's next column, given this one at `positions`: the full prefix's length plus the column."""
        sequence, places = column[:, :, None], positions[:, None]
        language_states = self.transformer.model(self.embed_mixed(sequence), places, caches.language_model)
        bridged = self.bridge(self.embed_tracks(sequence), language_states)
        decoder_states = self.transformer2.model(bridged, places, caches.decoder)
        logits = [self.mixed_logits(language_states), *self.track_logits(decoder_states)]
        return torch.cat(logits, dim=1)

    def embed_mixed(self, sequence: Int[Tensor, "row stream position"]) -> Float[Tensor, "row position width"]:
        """The language model's input."""
        return self.emb[0](sequence[:, Stream.MIXED])  # type: ignore[no-any-return]

    def embed_tracks(self, sequence: Int[Tensor, "row stream position"]) -> Float[Tensor, "row position width"]:
        """The decoder's input: vocal and accompaniment summed."""
        vocal = self.layer2_emb["1"](sequence[:, Stream.VOCAL])
        return vocal + self.layer2_emb["2"](sequence[:, Stream.ACCOMPANIMENT])  # type: ignore[no-any-return]

    def bridge(self, tracks: Tensor, language_states: Tensor) -> Float[Tensor, "row packed width"]:
        """MLP([embeddings ; hidden state]): what the decoder runs on."""
        return self.mlp(torch.cat([tracks, language_states], dim=-1))  # type: ignore[no-any-return]

    def mixed_logits(self, states: Float[Tensor, "row position width"]) -> Float[Tensor, "row position class"]:
        """Stream 0's logits of language-model states."""
        return self.transformer.lm_head(states).float()  # type: ignore[no-any-return]

    def track_logits(self, states: Float[Tensor, "row position width"]) -> list[Float[Tensor, "row position class"]]:
        """Logits of streams 1 and 2 of decoder states."""
        return [head(states).float() for head in self.linears]


def _run(tower: Tower, x: Tensor, layout: PackedLayout | BranchedLayout) -> Tensor:
    if isinstance(layout, BranchedLayout):
        return tower(x, layout.positions(x.device), layout)  # type: ignore[no-any-return]
    return tower(x, layout.positions)  # type: ignore[no-any-return]


def _fitted(x: Float[Tensor, "row position width"], length: int) -> Float[Tensor, "row length width"]:
    return functional.pad(x[:, :length], (0, 0, 0, max(0, length - x.shape[1])))
