from pathlib import Path

import pytest
import torch

from levo.model.conditions import ConditionTokens
from levo.model.lelm import LeLM
from levo.model.store import load_model
from levo.song.tokens import Stream
from levo.training.batches import SongBatch, predict
from levo.training.freezing import (
    FrozenParameterMovedError,
    NothingMovedError,
    assert_moved,
    assert_unmoved,
    freeze_all_but,
    is_trained,
    tensor_digests,
)
from levo.training.phases import Stage, TrainedPart


def _batch(model: LeLM) -> SongBatch:
    config, generator = model.config, torch.Generator().manual_seed(0)
    conditions = ConditionTokens(
        torch.randint(config.lyrics_vocabulary_size, (2, config.max_lyrics_tokens), generator=generator),
        torch.randint(config.description_vocabulary_size, (2, config.max_description_tokens), generator=generator),
        torch.randint(config.code_size, (2, 3, config.max_prompt_frames), generator=generator),
    )
    return SongBatch(torch.randint(config.code_size, (2, 3, 12), generator=generator), conditions)


def test_pre_training_moves_exactly_what_the_mixed_logits_depend_on(tiny_model: Path) -> None:
    model = load_model(tiny_model).model
    logits = predict(model, _batch(model), Stage.PRETRAIN.streams, model.config).logits
    torch.autograd.backward([logits[Stream.MIXED].sum()])
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if is_trained(name, TrainedPart.LANGUAGE_MODEL)}


def test_extension_moves_the_rest_and_gives_the_frozen_part_no_gradient(tiny_model: Path) -> None:
    model = load_model(tiny_model).model
    trained = set(freeze_all_but(model, TrainedPart.AR_DECODER))
    logits = predict(model, _batch(model), Stage.EXTEND.streams, model.config).logits
    torch.autograd.backward([values.sum() for values in logits.values()])
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == trained
    everything = {name for name, _ in model.named_parameters()}
    assert trained == {name for name in everything if not is_trained(name, TrainedPart.LANGUAGE_MODEL)}
    assert {name.split(".")[0] for name in trained} == {
        "layer2_emb",
        "mlp",
        "transformer2",
        "linears",
        "condition_provider",
    }
    assert sorted(name for name in trained if name.startswith("condition_provider")) == [
        "condition_provider.conditioners.prompt_audio.emb.1.weight",
        "condition_provider.conditioners.prompt_audio.emb.2.weight",
        "condition_provider.conditioners.prompt_audio.layer2_EOT_emb",
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_flipped_bit_is_found_and_named(dtype: torch.dtype) -> None:
    tensors = {"still": torch.zeros(2, dtype=dtype), "moved": torch.ones(3, dtype=dtype)}
    before = tensor_digests(tensors)
    assert_unmoved(before, tensor_digests({name: tensor.clone() for name, tensor in tensors.items()}))
    tensors["moved"].view(torch.uint8)[0] ^= 1
    with pytest.raises(FrozenParameterMovedError, match="'moved'"):
        assert_unmoved(before, tensor_digests(tensors))


def test_steps_that_vanish_in_bfloat16_are_found() -> None:
    weights = {"weight": torch.ones(4, dtype=torch.bfloat16)}
    before = tensor_digests(weights)
    weights["weight"] += 3e-5
    with pytest.raises(NothingMovedError, match="float32 master weights"):
        assert_moved(before, tensor_digests(weights))
    weights["weight"] += 0.1
    assert_moved(before, tensor_digests(weights))
