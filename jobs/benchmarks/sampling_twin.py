"""The sampler's twin: the published generation loop's operations in plain torch, on the same weights.

One song at a time with its guidance row; the first call carries the prefix; the cache of every layer is joined to the
new position at every step; a full mask is built and added; the host asks every step whether the song has ended and what
it has repeated. Where torch has a faster kernel for one of these operations (attention), it is used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from levo.model.conditions import ConditionTokens
from levo.model.lelm import LeLM
from levo.model.sampling.request import SamplingParameters
from levo.model.tower import Attention, Block, RMSNorm, Tower
from levo.song.tokens import NUM_STREAMS

_Layer = tuple[Tensor, Tensor]


class SamplingTwin:
    """Draws songs by the published operations."""

    def __init__(self, model: LeLM) -> None:
        self._model = model
        towers = (model.transformer.model, model.transformer2.model)
        self._bases = (model.config.rope_base, model.config.decoder_rope_base)
        self._towers: tuple[Tower, ...] = towers

    @torch.inference_mode()
    def sample(self, tokens: ConditionTokens, parameters: SamplingParameters, num_frames: int, seed: int) -> Tensor:
        """Codes [stream, frame] of one song from its condition row and the null row."""
        model, config = self._model, self._model.config
        generator = torch.Generator().manual_seed(seed)
        prefix = model.condition_provider(tokens)
        num_columns = num_frames + config.max_delay
        sequence = torch.full((1, NUM_STREAMS, num_columns + 1), config.special_id)
        prompt = torch.cat([tokens.prompt_codes[0], torch.full((NUM_STREAMS, 1), config.end_id)], dim=1)
        caches: list[list[_Layer]] = [[], []]
        has_ended = torch.zeros(NUM_STREAMS, dtype=torch.bool)
        for column in range(num_columns):
            now = sequence[:, :, column : column + 1].expand(2, -1, -1)
            mixed, tracks = model.embed_mixed(now), model.embed_tracks(now)
            if column == 0:
                mixed = torch.cat([prefix.language_model, mixed], dim=1)
                tracks = torch.cat([prefix.decoder, tracks], dim=1)
            states, caches[0] = self._tower(0, mixed, caches[0])
            states2, caches[1] = self._tower(1, self._bridged(tracks, states), caches[1])
            heads = [(model.transformer.lm_head, states), *((head, states2) for head in model.linears)]
            logits = torch.cat([_projected(head, last[:, -1:]).float() for head, last in heads], dim=1)
            logits = logits[1] + (logits[0] - logits[1]) * parameters.guidance
            logits = self._penalised(logits, sequence[0, :, : column + 1], parameters)
            if parameters.ban_prompt_codes:
                banned = torch.unique(prompt[0])
                logits[0, banned[banned < config.code_size]] = -torch.inf
            if column < parameters.min_frames + config.max_delay:
                logits[:, config.end_id] = -torch.inf
            codes = self._drawn(logits, parameters, generator)
            for stream, delay in enumerate(config.delays):
                if column - delay < 0 or column - delay >= num_frames:
                    codes[stream] = config.special_id
            sequence[0, :, column + 1] = codes
            has_ended |= codes == config.end_id
            if bool(has_ended.all()):
                break
        return torch.stack(
            [sequence[0, stream, 1 + delay :][:num_frames] for stream, delay in enumerate(config.delays)]
        )

    def _bridged(self, tracks: Tensor, states: Tensor) -> Tensor:
        first, activation, second = self._model.mlp
        return _projected(second, activation(_projected(first, torch.cat([tracks, states], dim=-1))))

    def _tower(self, index: int, x: Tensor, cache: list[_Layer]) -> tuple[Tensor, list[_Layer]]:
        tower = self._towers[index]
        past = cache[0][0].shape[2] if cache else 0
        length = x.shape[1]
        positions = torch.arange(past, past + length)
        width = self._model.config.head_width
        frequencies = self._bases[index] ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
        angles = (positions[:, None] * frequencies).repeat(1, 2)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        mask = torch.full((length, past + length), torch.finfo(x.dtype).min).triu(past + 1)
        mask = mask[None, None].expand(x.shape[0], 1, -1, -1).to(x.dtype)
        kept: list[_Layer] = []
        for number, layer in enumerate(tower.layers):
            assert isinstance(layer, Block)
            attended, both = _attended(
                layer.self_attn, _normed(layer.input_layernorm, x), (cos, sin), mask, cache[number] if cache else None
            )
            kept.append(both)
            x = x + attended
            normed = _normed(layer.post_attention_layernorm, x)
            gated = functional.silu(_projected(layer.mlp.gate_proj, normed)) * _projected(layer.mlp.up_proj, normed)
            x = x + _projected(layer.mlp.down_proj, gated)
        return _normed(tower.norm, x), kept

    def _penalised(self, logits: Tensor, sung: Tensor, parameters: SamplingParameters) -> Tensor:
        if not parameters.repetition_window:
            return logits
        for stream in range(NUM_STREAMS):
            recent = sung[stream, -parameters.repetition_window :]
            repeated = recent.bincount(minlength=self._model.config.code_size)[: self._model.config.code_size]
            logits[stream, repeated.nonzero()[:, 0]] /= parameters.repetition_penalty
        return logits

    def _drawn(self, logits: Tensor, parameters: SamplingParameters, generator: torch.Generator) -> Tensor:
        shares = (logits / (parameters.temperature or 1.0)).softmax(dim=-1)
        codes = shares.argmax(dim=-1)
        if parameters.temperature:
            best, ids = shares[0].topk(min(parameters.top_k or len(shares[0]), len(shares[0])))
            codes[0] = ids[(best / best.sum()).multinomial(1, generator=generator)[0]]
        return codes


def _projected(layer: nn.Module, x: Tensor) -> Tensor:
    """Torch's own product, as published; our layers' for a few rows is another."""
    assert isinstance(layer, nn.Linear)
    return functional.linear(x, layer.weight, layer.bias)


def _normed(norm: RMSNorm, x: Tensor) -> Tensor:
    wide = x.float()
    return norm.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + norm.epsilon)).to(x.dtype)


def _attended(
    layer: Attention, x: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor, past: _Layer | None
) -> tuple[Tensor, _Layer]:
    rows, length, width = x.shape

    def heads(y: Tensor) -> Tensor:
        return y.view(rows, length, layer.num_heads, -1).transpose(1, 2)

    queries, keys, values = (heads(_projected(one, x)) for one in (layer.q_proj, layer.k_proj, layer.v_proj))
    queries, keys = _rotated(queries, angles), _rotated(keys, angles)
    if past is not None:
        keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
    attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return _projected(layer.o_proj, attended.transpose(1, 2).reshape(rows, length, width)), (keys, values)


def _rotated(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * angles[0] + turned * angles[1]
