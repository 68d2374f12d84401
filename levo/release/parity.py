"""What our LeLM computes against recordings of the released code, case by case.

A folder of recordings is a release in small (config.yaml, weights, tokenizer) with `cases.safetensors` and
`cases.json`: the inputs and outputs of the released code under path-like keys. Generation is compared twice:
probabilities at every step under the recorded codes, and, where nothing is left to chance, the codes that our own
sampler draws.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from levo.model.conditions import Conditions, ConditionTokens
from levo.model.delay import align_logits, interleave
from levo.model.kv_cache import KVCache
from levo.model.lelm import LeLM, LeLMCaches, LeLMOutput
from levo.model.sampling.choice import guided, penalised
from levo.model.sampling.lane import EncodedRequest, Lane
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import RELEASED_PARAMETERS, SampledSong, SamplingRequest
from levo.model.store import LoadedModel
from levo.release.errors import ReleaseError
from levo.song.tokens import NUM_STREAMS, TokenGrid

CASES_FILE, SCALARS_FILE = "cases.safetensors", "cases.json"
TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
_FORCED_END = 1e4
_FORWARD = ("forward", "forward_no_null")
_PROMPTS = ("full", "short", "null")
_PROMPT_OF = {"null_prompt": "null", "short_prompt": "short"}
_CONDITIONS = ("description", "prompt_audio", "type_info")
_TEXTS = ("description", "type_info")

Cases = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The largest difference of one case, absolute unless it `is_relative` to the largest recorded magnitude."""

    case: str
    difference: float
    tolerance: float
    is_relative: bool = False

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance; one that is no number is not."""
        return self.difference <= self.tolerance


def read_cases(folder: Path) -> dict[str, Any]:
    """All recordings of a folder by their keys. Raises `ReleaseError` where a file is missing."""
    for name in (CASES_FILE, SCALARS_FILE):
        if not (folder / name).is_file():
            raise ReleaseError(f"{folder} holds no {name}; expected recordings of the released code")
    try:
        scalars: dict[str, Any] = json.loads((folder / SCALARS_FILE).read_text())
        return load_file(folder / CASES_FILE) | scalars
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ReleaseError(f"the recordings in {folder} are damaged: {error}") from None


def compare_all(cases: Cases, loaded: LoadedModel) -> Iterator[Comparison]:
    """Every case in turn, as far as the folder has recordings of it."""
    parity = _Parity(cases, loaded)
    yield from parity.texts()
    yield from parity.conditions()
    for name in _FORWARD:
        if f"{name}/codes" in cases:
            yield from parity.forward(name)
    if "loss/loss" in cases:
        yield from parity.loss()
    for name in generation_cases(cases):
        yield from parity.generation(name)


def generation_cases(cases: Cases) -> list[str]:
    """The names of the recorded generation runs."""
    return sorted({key.split("/")[1] for key in cases if key.startswith("generate/")})


class _Parity:
    def __init__(self, cases: Cases, loaded: LoadedModel) -> None:
        self._cases = cases
        self._loaded = loaded
        self._model: LeLM = loaded.model
        self._config = loaded.model.config

    def texts(self) -> Iterator[Comparison]:
        """Ids, lengths and embeddings of lyrics and descriptions."""
        encoder, conditioners = self._loaded.encoder, self._model.condition_provider.conditioners
        for name, ids_of, field in zip(
            _TEXTS, (encoder.lyrics_ids, encoder.description_ids), ("lyrics", "description"), strict=True
        ):
            if f"tokenized/{name}/texts" not in self._cases:
                continue
            texts = self._cases[f"tokenized/{name}/texts"]
            songs = [replace(Conditions(), **{field: text}) for text in texts]
            tokens = encoder.encode(songs, cut=True)
            padded = tokens.lyrics_ids if name == "description" else tokens.description_ids
            wrong_ids = wrong_masks = 0
            for row, text in enumerate(texts):
                kept = self._cases[f"tokenized/{name}/attention_mask"][row].bool()
                recorded = self._cases[f"tokenized/{name}/input_ids"][row][kept].tolist()
                ids = ids_of(text)
                wrong_ids += ids != recorded
                mask = torch.arange(padded.shape[1]) < len(ids)
                wrong_masks += not torch.equal(mask, self._cases[f"tokenized/{name}/mask"][row].bool())
            yield Comparison(f"tokenized/{name}/input_ids", wrong_ids, 0)
            yield Comparison(f"tokenized/{name}/mask", wrong_masks, 0)
            with torch.inference_mode():
                yield self._close(f"tokenized/{name}/embeds", conditioners[name](padded))

    def conditions(self) -> Iterator[Comparison]:
        """The condition vectors of both towers."""
        lengths = (self._config.max_lyrics_tokens, self._config.prompt_positions, self._config.max_description_tokens)
        for prompt in _PROMPTS:
            if f"conditions/{prompt}/description/0" not in self._cases:
                continue
            with torch.inference_mode():
                prefix = self._model.condition_provider(self._tokens(prompt))
            for tower, vectors in enumerate((prefix.language_model, prefix.decoder)):
                for name, part in zip(_CONDITIONS, vectors.split(lengths, dim=1), strict=True):
                    yield self._close(f"conditions/{prompt}/{name}/{tower}", part)

    def forward(self, case: str) -> Iterator[Comparison]:
        """The interleaved sequence, both towers' states, all logits, and the same one column at a time."""
        codes = self._cases[f"{case}/codes"]
        sequence = interleave(codes, self._config.delays, self._config.special_id)
        yield Comparison(f"{case}/sequence", _num_different(sequence, self._cases[f"{case}/sequence"]), 0)
        tokens = self._tokens("full", null_row=case == "forward")
        with torch.inference_mode():
            output: LeLMOutput = self._model(sequence, tokens)
        yield self._close(f"{case}/hidden1", output.language_states)
        if output.decoder_states is not None:
            yield self._close(f"{case}/hidden2", output.decoder_states)
        yield self._close(f"{case}/sequence_logits", torch.stack(output.logits, dim=1))
        yield self._close(f"{case}/logits", torch.stack(self._aligned(output, codes), dim=1))
        yield self._close(f"{case}/streaming_logits", self._streamed(sequence, tokens))

    def loss(self) -> Iterator[Comparison]:
        """The three cross-entropies, their mean, and its gradient for every tensor."""
        codes = self._cases["forward/codes"]
        self._model.zero_grad()
        output = self._model(interleave(codes, self._config.delays, self._config.special_id), self._tokens("full"))
        losses = torch.stack(
            [
                functional.cross_entropy(
                    logits.flatten(0, 1), codes[:, stream].flatten(), ignore_index=self._config.special_id
                )
                for stream, logits in enumerate(self._aligned(output, codes))
            ]
        )
        yield self._close("loss/per_stream", losses.detach())
        yield self._close("loss/loss", losses.mean().detach())
        losses.mean().backward()  # type: ignore[no-untyped-call]
        gradients = {name: parameter.grad for name, parameter in self._model.named_parameters()}
        recorded = {key.removeprefix("loss/grads/") for key in self._cases if key.startswith("loss/grads/")}
        yield Comparison("loss/grads: tensors", len(recorded ^ gradients.keys()), 0)
        for name in sorted(recorded & gradients.keys()):
            gradient, expected = gradients[name], self._cases[f"loss/grads/{name}"]
            difference = torch.inf if gradient is None else _relative_difference(gradient, expected)
            yield Comparison(f"loss/grads/{name}", difference, GRADIENT_TOLERANCE, is_relative=True)
        self._model.zero_grad()

    def generation(self, case: str) -> Iterator[Comparison]:
        """Logits and probabilities of every step under the recorded codes; our own codes where none is drawn."""
        setting = _Setting.of(self._cases, case)
        cond, uncond, probabilities = self._replayed(case, setting)
        # What was added to a forced end leaves no more of its own digits than float32 has at that size.
        widened = {"tolerance": _FORCED_END * 2**-23} if setting.forced_ends else {}
        yield self._close(f"generate/{case}/cond_logits", cond, **widened)
        yield self._close(f"generate/{case}/uncond_logits", uncond, **widened)
        yield self._close(f"generate/{case}/probs", probabilities)
        cut = _cut_at_the_earliest_end(self._cases[f"generate/{case}/tokens"], self._config.end_id)
        yield Comparison(
            f"generate/{case}/tokens_cut", _num_different(cut, self._cases[f"generate/{case}/tokens_cut"]), 0
        )
        if setting.top_k == 1 and not setting.forced_ends:
            drawn = torch.from_numpy(self._drawn(case, setting).tokens.codes).long()
            recorded = self._cases[f"generate/{case}/tokens_cut"][0]
            yield Comparison(f"generate/{case}/tokens", _num_different(drawn, recorded), 0)

    def _replayed(self, case: str, setting: "_Setting") -> tuple[Tensor, Tensor, Tensor]:
        """Step by step, [step, 1, stream, class]: logits with and without conditions, and final probabilities."""
        config, codes = self._config, self._cases[f"generate/{case}/tokens"]
        sequence = interleave(codes, config.delays, config.special_id)
        tokens = self._tokens(setting.prompt)
        logits = self._streamed(sequence[:, :, : setting.num_steps].expand(2, -1, -1), tokens).transpose(0, 2)
        logits = logits.transpose(1, 2)  # [step, row, stream, class]
        for stream, step in setting.forced_ends.items():
            logits[step - 1, :, stream, config.end_id] += _FORCED_END
        cond, uncond = logits[:, :1], logits[:, 1:]
        banned = self._cases[f"prompts/{setting.prompt}"][0, 0].unique()
        final = []
        for step in range(setting.num_steps):
            row = guided(logits[step], torch.tensor([1, 1]), torch.full((2,), setting.guidance))[:1]
            if setting.window:
                recent = sequence[:, :, max(1, step + 1 - setting.window) : step + 1]
                row = penalised(row, recent, torch.tensor([RELEASED_PARAMETERS.repetition_penalty]), config.code_size)
            row[:, 0, banned[banned < config.code_size]] = -torch.inf
            final.append((row / setting.temperature).softmax(dim=2))
        return cond, uncond, torch.stack(final)

    def _drawn(self, case: str, setting: "_Setting") -> SampledSong:
        """The song that our sampler draws with the released options."""
        parameters = replace(
            RELEASED_PARAMETERS,
            temperature=setting.temperature,
            top_k=setting.top_k,
            guidance=setting.guidance,
            repetition_window=setting.window,
        )
        conditions = self._conditions(setting.prompt)
        request = SamplingRequest(case, conditions, 0, setting.max_frames, parameters)
        tokens = self._loaded.encoder.encode([conditions, conditions.null()], cut=True)
        length = LengthClass(
            num_rows=2, max_frames=setting.max_frames, max_prefix=self._config.prefix_length, prefill_rows=2
        )
        lane = Lane(self._loaded, length)
        prefix_lengths = (self._config.prefix_length,) * tokens.num_rows
        lane.admit([EncodedRequest(request, tokens, prefix_lengths, tokens.row_digests())])
        while True:
            for song in lane.step():
                return song

    def _streamed(self, sequence: Tensor, tokens: ConditionTokens) -> Tensor:
        """Logits [row, stream, column, class] of a sequence that is fed column by column."""
        config = self._config
        caches = [
            KVCache(
                num_layers=num_layers,
                num_rows=len(sequence),
                num_heads=config.num_heads,
                num_positions=config.prefix_length + sequence.shape[2],
                head_width=config.head_width,
                dtype=self._model.dtype,
                device=self._model.device,
            )
            for num_layers in (config.num_layers, config.num_decoder_layers)
        ]
        rows = torch.arange(len(sequence))
        logits = []
        with torch.inference_mode():
            positions = self._model.prefill(
                tokens, config.prefix_length, LeLMCaches(*(cache.prefill(rows, rows) for cache in caches))
            )
            for column in range(sequence.shape[2]):
                columns = torch.full_like(positions, column)
                writers = LeLMCaches(*(cache.step(positions, columns, column) for cache in caches))
                logits.append(self._model.step(sequence[:, :, column], positions + column, writers))
        return torch.stack(logits, dim=2)

    def _aligned(self, output: LeLMOutput, codes: Tensor) -> list[Tensor]:
        return [
            align_logits(logits, delay, codes.shape[2])
            for logits, delay in zip(output.logits, self._config.delays, strict=True)
        ]

    def _conditions(self, prompt: str) -> Conditions:
        codes = self._cases[f"prompts/{prompt}"][0].numpy().astype(np.int32)
        return Conditions(self._cases["lyrics"], self._cases["style"], TokenGrid(codes))

    def _tokens(self, prompt: str, *, null_row: bool = True) -> ConditionTokens:
        conditions = self._conditions(prompt)
        return self._loaded.encoder.encode([conditions, conditions.null()] if null_row else [conditions], cut=True)

    def _close(self, case: str, ours: Tensor, *, tolerance: float = TOLERANCE) -> Comparison:
        return Comparison(case, _largest_difference(ours, self._cases[case]), tolerance)


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a generation run was recorded; `forced_ends` are steps, from 1, at which a stream was made to end."""

    prompt: str
    temperature: float
    top_k: int
    guidance: float
    window: int
    max_frames: int
    num_steps: int
    forced_ends: Mapping[int, int]

    @classmethod
    def of(cls, cases: Cases, case: str) -> "_Setting":
        value: Callable[[str], Any] = lambda name: cases[f"generate/{case}/{name}"]  # noqa: E731
        return cls(
            prompt=_PROMPT_OF.get(case, "full"),
            temperature=value("temp"),
            top_k=value("top_k"),
            guidance=value("cfg_coef"),
            window=value("record_window") if value("record_tokens") else 0,
            max_frames=value("max_gen_len"),
            num_steps=len(value("probs")),
            forced_ends={
                stream: cases[key]
                for stream in range(NUM_STREAMS)
                if (key := f"generate/{case}/force_eos/{stream}") in cases
            },
        )


def _cut_at_the_earliest_end(tokens: Tensor, end_id: int) -> Tensor:
    """Codes [1, stream, frame] before the first frame at which any stream has ended, as released."""
    ends = (tokens == end_id).any(dim=1).flatten().nonzero()
    return tokens[:, :, : int(ends[0])] if len(ends) else tokens


def missing_groups(cases: Cases) -> list[str]:
    """The kinds of recordings that a folder lacks."""
    kinds = ("tokenized/description/", "tokenized/type_info/", "conditions/", "forward/", "loss/", "generate/")
    return [kind.rstrip("/") for kind in kinds if not any(key.startswith(kind) for key in cases)]


def _largest_difference(ours: Tensor, recorded: Tensor) -> float:
    """Infinite where shapes differ; where both are the same infinity there is no difference."""
    if ours.shape != recorded.shape:
        return torch.inf
    apart = torch.where(ours == recorded, 0.0, (ours.double() - recorded.double()).abs())
    return float(apart.max()) if apart.numel() else 0.0


def _relative_difference(ours: Tensor, recorded: Tensor) -> float:
    largest = float(recorded.abs().max()) or 1.0
    return _largest_difference(ours, recorded) / largest


def _num_different(ours: Tensor, recorded: Tensor) -> float:
    return torch.inf if ours.shape != recorded.shape else float((ours != recorded).sum())
