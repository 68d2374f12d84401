"""Our LeLM computes what the released code computes, on its recorded small model."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from levo.model.conditions import Conditions, ConditionTokens
from levo.model.config import LeLMConfig
from levo.model.delay import align_logits, interleave
from levo.model.kv_cache import KVCache
from levo.model.lelm import LeLM, LeLMCaches, LeLMOutput
from levo.model.tokenizer import ConditionEncoder
from levo.song.tokens import TokenGrid

TOLERANCE = 1e-5


def conditions_of(cases: dict[str, Any], prompt: str) -> Conditions:
    codes = cases[f"prompts/{prompt}"][0].numpy().astype(np.int32)
    return Conditions(cases["lyrics"], cases["style"], TokenGrid(codes))


def condition_tokens(
    cases: dict[str, Any], encoder: ConditionEncoder, prompt: str = "full", *, null_row: bool = True
) -> ConditionTokens:
    conditions = conditions_of(cases, prompt)
    return encoder.encode([conditions, conditions.null()] if null_row else [conditions], cut=True)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "ours"), [("description", "lyrics_ids"), ("type_info", "description_ids")])
def test_texts_get_the_released_ids(
    name: str, ours: str, lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder
) -> None:
    for index, text in enumerate(lelm_cases[f"tokenized/{name}/texts"]):
        kept = lelm_cases[f"tokenized/{name}/attention_mask"][index].bool()
        assert getattr(parity_encoder, ours)(text) == lelm_cases[f"tokenized/{name}/input_ids"][index][kept].tolist()


def test_texts_get_the_released_embeddings(
    lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    conditioners = parity_model.condition_provider.conditioners
    lyrics = [Conditions(lyrics=text) for text in lelm_cases["tokenized/description/texts"]]
    ids = parity_encoder.encode(lyrics, cut=True).lyrics_ids
    close(conditioners["description"](ids), lelm_cases["tokenized/description/embeds"])
    styles = [Conditions(description=text) for text in lelm_cases["tokenized/type_info/texts"]]
    close(
        conditioners["type_info"](parity_encoder.encode(styles).description_ids),
        lelm_cases["tokenized/type_info/embeds"],
    )


@pytest.mark.parametrize("prompt", ["full", "short", "null"])
def test_conditions_give_the_released_prefix(
    prompt: str, lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    tokens = condition_tokens(lelm_cases, parity_encoder, prompt)
    prefix = parity_model.condition_provider(tokens)
    names = ("description", "prompt_audio", "type_info")
    for ours, index in ((prefix.language_model, 0), (prefix.decoder, 1)):
        close(ours, torch.cat([lelm_cases[f"conditions/{prompt}/{name}/{index}"] for name in names], dim=1))


def forward(model: LeLM, cases: dict[str, Any], encoder: ConditionEncoder, case: str) -> LeLMOutput:
    tokens = condition_tokens(cases, encoder, null_row=case == "forward")
    return model(cases[f"{case}/sequence"], tokens)  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", ["forward", "forward_no_null"])
def test_the_forward_pass_equals_the_released_one(
    case: str, lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    output = forward(parity_model, lelm_cases, parity_encoder, case)
    close(output.language_states, lelm_cases[f"{case}/hidden1"])
    assert output.decoder_states is not None
    close(output.decoder_states, lelm_cases[f"{case}/hidden2"])
    close(torch.stack(output.logits, dim=1), lelm_cases[f"{case}/sequence_logits"])


@pytest.mark.parametrize("case", ["forward", "forward_no_null"])
def test_codes_meet_the_logits_that_predict_them(
    case: str, lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    config, codes = parity_model.config, lelm_cases[f"{case}/codes"]
    sequence = interleave(codes, config.delays, config.special_id)
    assert torch.equal(sequence, lelm_cases[f"{case}/sequence"])
    output = forward(parity_model, lelm_cases, parity_encoder, case)
    aligned = [
        align_logits(logits, delay, codes.shape[2]) for logits, delay in zip(output.logits, config.delays, strict=True)
    ]
    close(torch.stack(aligned, dim=1), lelm_cases[f"{case}/logits"])


@pytest.mark.parametrize("case", ["forward", "forward_no_null"])
def test_one_column_at_a_time_equals_the_whole(
    case: str, lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    tokens = condition_tokens(lelm_cases, parity_encoder, null_row=case == "forward")
    logits = streamed_logits(parity_model, lelm_cases[f"{case}/sequence"], tokens)
    close(logits, lelm_cases[f"{case}/streaming_logits"])


def test_the_loss_and_its_gradients_equal_the_released_ones(
    lelm_cases: dict[str, Any], parity_encoder: ConditionEncoder, parity_model: LeLM
) -> None:
    config, codes = parity_model.config, lelm_cases["forward/codes"]
    output = forward(parity_model, lelm_cases, parity_encoder, "forward")
    losses = torch.stack(
        [
            functional.cross_entropy(
                align_logits(logits, delay, codes.shape[2]).flatten(0, 1),
                codes[:, stream].flatten(),
                ignore_index=config.special_id,
            )
            for stream, (logits, delay) in enumerate(zip(output.logits, config.delays, strict=True))
        ]
    )
    close(losses, lelm_cases["loss/per_stream"])
    close(losses.mean(), lelm_cases["loss/loss"])
    losses.mean().backward()  # type: ignore[no-untyped-call]
    recorded = {name.removeprefix("loss/grads/") for name in lelm_cases if name.startswith("loss/grads/")}
    assert recorded == {name for name, _ in parity_model.named_parameters()}
    for name, parameter in parity_model.named_parameters():
        assert parameter.grad is not None
        close(parameter.grad, lelm_cases[f"loss/grads/{name}"])


def streamed_logits(model: LeLM, sequence: Tensor, tokens: ConditionTokens) -> Tensor:
    config = model.config
    num_rows, _, num_columns = sequence.shape
    caches = [
        KVCache(
            num_layers=num_layers,
            num_rows=num_rows,
            num_heads=config.num_heads,
            num_positions=config.prefix_length + num_columns,
            head_width=config.head_width,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
        for num_layers in (config.num_layers, config.num_decoder_layers)
    ]
    rows = torch.arange(num_rows)
    logits = []
    with torch.inference_mode():
        writers = LeLMCaches(*(cache.prefill(rows) for cache in caches))
        positions = model.prefill(tokens, config.prefix_length, writers)
        for column in range(num_columns):
            writers = LeLMCaches(*(cache.step(positions + column) for cache in caches))
            logits.append(model.step(sequence[:, :, column], positions + column, writers))
    return torch.stack(logits, dim=2)


def test_every_released_condition_fixture_row_is_used(parity_config: LeLMConfig) -> None:
    assert parity_config.prefix_length == 84
    assert (parity_config.end_id, parity_config.special_id) == (77, 78)
