"""What must hold for any LeLM: causality, independence of padding and company, and who reads what."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from levo.model.attention import attention
from levo.model.conditions import ConditionTokens, concatenate_conditions
from levo.model.config import LeLMConfig, base_config, large_config, medium_config
from levo.model.construction import empty_lelm, new_lelm
from levo.model.lelm import LeLM, Streams, Targets
from levo.model.parts import ModelPart, part_of
from levo.release.layout import DEAD_TENSORS

NUM_COLUMNS = 7


@pytest.fixture
def masked_config(parity_config: LeLMConfig) -> LeLMConfig:
    return replace(parity_config, prefix_padding="masked", delays=(0, 2, 2))


@pytest.fixture
def model(masked_config: LeLMConfig) -> LeLM:
    return new_lelm(masked_config, 3).eval()


def some_tokens(config: LeLMConfig, lyric_lengths: list[int]) -> ConditionTokens:
    generator = torch.Generator().manual_seed(1)
    num_rows = len(lyric_lengths)
    lyrics = torch.randint(0, config.text_padding_id, (num_rows, config.max_lyrics_tokens), generator=generator)
    description = torch.randint(0, config.text_padding_id, (num_rows, 4), generator=generator)
    prompt = torch.randint(0, config.code_size, (num_rows, 3, 6), generator=generator)
    for row, length in enumerate(lyric_lengths):
        lyrics[row, length:] = config.text_padding_id
    return ConditionTokens(lyrics, description, prompt)


def some_sequence(config: LeLMConfig, num_rows: int) -> torch.Tensor:
    return torch.randint(0, config.code_size, (num_rows, 3, NUM_COLUMNS), generator=torch.Generator().manual_seed(2))


def test_a_row_does_not_depend_on_how_much_it_is_padded(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [3, 40, 17]), some_sequence(model.config, 3)
    together = model(sequence, tokens)
    for row in range(3):
        alone = model(sequence[row : row + 1], tokens.select(slice(row, row + 1)))
        for batch_logits, own_logits in zip(together.logits, alone.logits, strict=True):
            torch.testing.assert_close(batch_logits[row], own_logits[0], rtol=1e-5, atol=1e-5)


def test_unused_condition_positions_change_nothing_in_new_models(model: LeLM, masked_config: LeLMConfig) -> None:
    tokens, sequence = some_tokens(masked_config, [9]), some_sequence(masked_config, 1)
    cut = ConditionTokens(tokens.lyrics_ids[:, :9], tokens.description_ids, tokens.prompt_codes)
    for full, short in zip(model(sequence, tokens).logits, model(sequence, cut).logits, strict=True):
        torch.testing.assert_close(full, short, rtol=1e-5, atol=1e-5)


def test_what_is_left_out_moves_nothing_else(model: LeLM, masked_config: LeLMConfig) -> None:
    """The same song under a full prefix whose unused places are masked by hand, at positions that count through."""
    tokens, sequence = some_tokens(masked_config, [9]), some_sequence(masked_config, 1)
    prefix = model.condition_provider(tokens)
    x = torch.cat([prefix.language_model, model.embed_mixed(sequence)], dim=1)
    positions = torch.cat([prefix.positions, masked_config.prefix_length + torch.arange(NUM_COLUMNS)])[None]
    hidden = torch.cat([~prefix.is_used[0], torch.zeros(NUM_COLUMNS, dtype=torch.bool)])
    length = x.shape[1]
    forbidden = torch.ones(length, length, dtype=torch.bool).triu(1) | (hidden[None] & ~torch.eye(length).bool())

    class Masked:
        def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return attention(queries, keys, values, torch.zeros(length, length).masked_fill(forbidden, -torch.inf))

    states = model.transformer.model(x, positions, [Masked()] * masked_config.num_layers)
    expected = model.mixed_logits(states[:, -NUM_COLUMNS:])
    torch.testing.assert_close(model(sequence, tokens).logits[0], expected, rtol=1e-5, atol=1e-5)


def test_released_models_attend_to_unused_condition_positions(model: LeLM, masked_config: LeLMConfig) -> None:
    attended = LeLM(replace(masked_config, prefix_padding="attended"))
    attended.load_state_dict(model.state_dict())
    tokens, sequence = some_tokens(masked_config, [9]), some_sequence(masked_config, 1)
    assert not torch.allclose(model(sequence, tokens).logits[0], attended(sequence, tokens).logits[0], atol=1e-3)


@pytest.mark.parametrize("recomputes", [False, True])
def test_songs_behind_one_prefix_are_what_they_are_behind_one_each(
    model: LeLM, masked_config: LeLMConfig, recomputes: bool
) -> None:
    attended = LeLM(replace(masked_config, prefix_padding="attended"))
    attended.load_state_dict(model.state_dict())
    attended.recompute_activations(recomputes)
    config, tokens, sequence = attended.config, some_tokens(masked_config, [5, 12]), some_sequence(masked_config, 6)
    found = {}
    for branches, conditions in ((3, tokens), (1, concatenate_conditions([tokens] * 3))):
        targets = Targets(sequence[:, :, : -config.max_delay])
        output = attended(sequence, conditions, targets=targets, branches=branches)
        attended.zero_grad()
        torch.autograd.backward(torch.stack([losses.square().sum() for losses in output.losses]).sum())
        gradients = {name: one.grad.clone() for name, one in attended.named_parameters() if one.grad is not None}
        found[branches] = ([losses.detach() for losses in output.losses], gradients)
    torch.testing.assert_close(found[3][0], found[1][0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[3][1], found[1][1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_compiled_layers_give_the_losses_and_gradients_of_plain_ones(model: LeLM) -> None:
    tokens = some_tokens(model.config, [5, 12])
    found = []
    for is_compiled in (False, True):
        if is_compiled:
            model.compile_layers()
        for num_columns in (NUM_COLUMNS, NUM_COLUMNS - 2):
            sequence = some_sequence(model.config, 2)[:, :, :num_columns]
            output = model(sequence, tokens, targets=Targets(sequence[:, :, : -model.config.max_delay]))
            model.zero_grad()
            torch.autograd.backward(torch.stack([losses.sum() for losses in output.losses]).sum())
            gradients = [one.grad.clone() for one in model.parameters() if one.grad is not None]
            found.append(([losses.detach() for losses in output.losses], gradients))
    for plain, compiled in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)


def test_songs_behind_one_prefix_run_in_bfloat16_products(model: LeLM, masked_config: LeLMConfig) -> None:
    attended = LeLM(replace(masked_config, prefix_padding="attended"))
    tokens, sequence = some_tokens(masked_config, [5]), some_sequence(masked_config, 2)
    exact = attended(sequence, tokens, branches=2).logits
    with torch.autocast("cpu", torch.bfloat16):
        rounded = attended(sequence, tokens, branches=2).logits
    for one, other in zip(exact, rounded, strict=True):
        torch.testing.assert_close(other, one, atol=0.1, rtol=0.1)


def test_prefixes_of_several_lengths_are_not_shared(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [5]), some_sequence(model.config, 2)
    with pytest.raises(ValueError, match="2 songs a prefix"):
        model(sequence, tokens, branches=2)


def test_no_logit_sees_a_later_code(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [5, 12]), some_sequence(model.config, 2)
    changed = sequence.clone()
    changed[:, :, 4:] = (changed[:, :, 4:] + 1) % model.config.code_size
    for before, after in zip(model(sequence, tokens).logits, model(changed, tokens).logits, strict=True):
        torch.testing.assert_close(before[:, :4], after[:, :4], rtol=1e-6, atol=1e-6)
        assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_mixed_logits_do_not_see_the_other_streams(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [5]), some_sequence(model.config, 1)
    changed = sequence.clone()
    changed[:, 1:] = (changed[:, 1:] + 1) % model.config.code_size
    assert torch.equal(model(sequence, tokens).logits[0], model(changed, tokens, streams=Streams.MIXED).logits[0])


def test_dropped_conditions_give_finite_logits_and_gradients(model: LeLM) -> None:
    config = model.config
    ids = torch.full((1, 4), config.text_padding_id)
    tokens = ConditionTokens(ids, ids, torch.full((1, 3, 4), config.special_id))
    output = model(some_sequence(config, 1), tokens)
    sum(logits.square().mean() for logits in output.logits).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())


def test_freezing_the_language_model_leaves_gradients_to_the_decoder_alone(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [5, 9]), some_sequence(model.config, 2)
    output = model(sequence, tokens, freeze_language_model=True)
    (output.logits[1].mean() + output.logits[2].square().mean()).backward()
    touched = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    tables = {name for name in touched if name.startswith("condition_provider")}
    assert all(part_of(name) is ModelPart.AR_DECODER for name in touched - tables)
    assert all(name in touched for name, _ in model.named_parameters() if part_of(name) is ModelPart.AR_DECODER)


def test_the_mixed_logits_depend_on_no_decoder_tensor(model: LeLM) -> None:
    tokens, sequence = some_tokens(model.config, [5]), some_sequence(model.config, 1)
    before = model(sequence, tokens).logits[0]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if part_of(name) is ModelPart.AR_DECODER:
                parameter.add_(1.0)
    assert torch.equal(before, model(sequence, tokens).logits[0])


def test_a_seed_names_the_weights_and_leaves_the_global_state(masked_config: LeLMConfig) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first, second, other = (new_lelm(masked_config, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["emb.0.weight"], other["emb.0.weight"])


@pytest.mark.parametrize(
    ("config", "num_tensors", "billions"),
    [(base_config(), 386, 2.83), (medium_config(), 386, 2.83), (large_config(), 458, 5.12)],
)
def test_the_released_sizes_are_met(config: LeLMConfig, num_tensors: int, billions: float) -> None:
    shapes = empty_lelm(config).state_dict()
    dead = config.width * (2 * config.num_classes + config.num_classes + config.code_size + 2 + 2)
    assert len(shapes) + len(DEAD_TENSORS) == num_tensors
    assert (sum(tensor.numel() for tensor in shapes.values()) + dead) / 1e9 == pytest.approx(billions, abs=0.01)


def test_an_empty_model_has_the_shapes_of_a_drawn_one_and_no_memory(masked_config: LeLMConfig) -> None:
    empty, drawn = empty_lelm(masked_config).state_dict(), LeLM(masked_config).state_dict()
    assert {name: (one.shape, one.dtype) for name, one in empty.items()} == {
        name: (one.shape, one.dtype) for name, one in drawn.items()
    }
    assert all(one.is_meta for one in empty.values())


def test_an_empty_model_is_made_without_the_compiler_whose_import_takes_seconds() -> None:
    told = (
        "import sys; from levo.model.config import base_config; from levo.model.construction import empty_lelm; "
        "empty_lelm(base_config()); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0


def test_the_single_query_path_equals_scaled_dot_product_attention() -> None:
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn((2, 3, 4, 11, 8), generator=generator)
    queries = torch.randn((3, 4, 1, 8), generator=generator)
    bias = torch.zeros(3, 1, 1, 11).masked_fill(
        torch.arange(11) > torch.tensor([2, 10, 0])[:, None, None, None], -torch.inf
    )
    expected = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    torch.testing.assert_close(attention(queries, keys, values, bias), expected)
